// SHA-256 of data in shared memory, computed by the threads: chunk by chunk, and of the whole.

import { createHash } from 'node:crypto';
import { RESULT_CHUNK_BYTES } from '../../shared/job/limits.ts';
import { DIGEST_BYTES, type DigestTask, type Findings } from './task.ts';

export interface Digests {
  readonly sha256: string;
  readonly chunks: readonly string[];
}

/** Bytes of memory that the digests of so many bytes of data take. */
export function digestSpaceBytes(byteLength: number): number {
  return (1 + Math.ceil(byteLength / RESULT_CHUNK_BYTES)) * DIGEST_BYTES;
}

/**
 * Digests of [byteOffset, byteOffset + byteLength).
 *
 * @param digests byte offset of digestSpaceBytes(byteLength) bytes of memory; @param runTask runs a task on the
 * threads; @param alsoWhole false where the digest of the whole is not wanted (it is that of the first chunk then).
 */
export async function digestData(
  memory: WebAssembly.Memory,
  data: { readonly byteOffset: number; readonly byteLength: number },
  digests: number,
  runTask: (task: DigestTask, tiles: number) => Promise<Findings>,
  alsoWhole = true,
): Promise<Digests> {
  const count = Math.ceil(data.byteLength / RESULT_CHUNK_BYTES);
  if (count === 0) return { sha256: createHash('sha256').digest('hex'), chunks: [] };
  // The digest of a single chunk is that of the whole.
  const whole = alsoWhole && count > 1;
  const task: DigestTask = { kind: 'digest', ...data, chunkBytes: RESULT_CHUNK_BYTES, whole, digests };
  await runTask(task, count + (whole ? 1 : 0));
  const hex = (index: number) =>
    Buffer.from(new Uint8Array(memory.buffer, digests + index * DIGEST_BYTES, DIGEST_BYTES)).toString('hex');
  return { sha256: hex(whole ? count : 0), chunks: Array.from({ length: count }, (_, index) => hex(index)) };
}
