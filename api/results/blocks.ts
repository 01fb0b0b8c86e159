// The finished blocks of a job, whether or not the others follow: which they are, and each as an array of its own.

import { FrechetError } from '../../shared/errors.ts';
import type { ArrayHeader } from '../../shared/io/array-header.ts';
import type { OpenBlock } from '../../shared/io/job-store.ts';
import type { BlockRange } from '../../shared/job/outcome.ts';
import { type BlockDocument, blockDocument } from '../jobs/block-document.ts';
import { findJob } from '../jobs/known-job.ts';
import { type ResultDeps, refuseExpired, resultHeader } from './result.ts';

/** Receipts read at a time: they lie in different objects, and a job may have a thousand. */
const RECEIPTS_AT_ONCE = 16;

/** @throws not-found, expired */
export async function listFinishedBlocks(
  deps: ResultDeps,
  tenant: string,
  jobId: string,
): Promise<BlockDocument[]> {
  await findJob(deps.jobs, tenant, jobId);
  const outcome = await deps.jobs.readOutcome(tenant, jobId);
  refuseExpired(outcome, deps.clock());
  if (outcome?.state === 'succeeded') {
    return outcome.manifest.blocks.map((block, index) => blockDocument(jobId, { ...block, index }));
  }
  const indexes = await deps.jobs.listBlocks(tenant, jobId);
  const documents: BlockDocument[] = [];
  for (let start = 0; start < indexes.length; start += RECEIPTS_AT_ONCE) {
    const receipts = await Promise.all(
      indexes
        .slice(start, start + RECEIPTS_AT_ONCE)
        .map(index => deps.jobs.readReceipt(tenant, jobId, index)),
    );
    for (const receipt of receipts) {
      if (receipt !== undefined) documents.push(blockDocument(jobId, receipt));
    }
  }
  return documents;
}

export interface FinishedBlock {
  /** Undefined for the block of a check. */
  readonly header: ArrayHeader | undefined;
  /** Its footer is the receipt. The caller closes it. */
  readonly block: OpenBlock;
}

/** @throws not-found, expired */
export async function openFinishedBlock(
  deps: ResultDeps,
  tenant: string,
  jobId: string,
  index: string,
): Promise<FinishedBlock> {
  const { plan } = await findJob(deps.jobs, tenant, jobId);
  refuseExpired(await deps.jobs.readOutcome(tenant, jobId), deps.clock());
  const isIndex = /^(0|[1-9]\d{0,5})$/.test(index) && Number(index) < plan.blocksTotal;
  const block = isIndex ? await deps.jobs.openBlock(tenant, jobId, Number(index)) : undefined;
  if (block === undefined) throw new FrechetError('not-found', 'there is no such block yet');
  const whole = resultHeader(plan);
  return { header: whole && blockHeader(whole, block.footer), block };
}

/** The piece of the result's shape that a block's ranges cut out. */
function blockHeader(whole: ArrayHeader, { members, rows, columns }: BlockRange): ArrayHeader {
  const isStack = whole.shape.length > 2;
  const ranges = isStack ? [members, rows, columns] : [rows, columns];
  const shape = whole.shape.map((side, axis) => {
    const range = ranges[axis];
    return range === undefined ? side : range[1] - range[0];
  });
  return { ...whole, shape };
}
