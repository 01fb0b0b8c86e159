// A finished block as a client sees it: which piece of the result, how large, which bytes.

import type { BlockReceipt } from '../../shared/job/outcome.ts';
import { jobHref } from './job-document.ts';

/** Which of `members`, `rows` and `columns` there are says what kind of result it is a piece of. */
export type BlockDocument = Pick<
  BlockReceipt,
  'index' | 'members' | 'rows' | 'columns' | 'bytes' | 'sha256'
> & { readonly href: string };

export function blockDocument(
  jobId: string,
  { index, members, rows, columns, bytes, sha256 }: Omit<BlockDocument, 'href'>,
): BlockDocument {
  return {
    index,
    ...(members && { members }),
    ...(rows && { rows }),
    ...(columns && { columns }),
    bytes,
    sha256,
    href: `${jobHref(jobId)}/result/blocks/${index}`,
  };
}
