// Have operands changed since they were loaded? Fingerprints of what lies in memory are taken before the digests of an
// upload are compared with it, and compared after a block has been computed from it. They cost one read of the operands.

import { RESULT_CHUNK_BYTES } from '../../shared/job/limits.ts';
import { FINGERPRINT_BYTES, type Vectors } from '../kernels/vectors.ts';
import { type Findings, type FingerprintTask, type GuardedRange, NO_FINDINGS, type Task } from './task.ts';

type Run = (task: Task, tiles: number) => Promise<Findings>;

/** Bytes that the fingerprints of so many bytes take. */
export function fingerprintSpaceBytes(byteLength: number): number {
  return Math.ceil(byteLength / RESULT_CHUNK_BYTES) * FINGERPRINT_BYTES;
}

/** Takes the fingerprints of a range that nobody writes any more. */
export async function takeFingerprints(run: Run, range: GuardedRange): Promise<void> {
  await run(taskOf([range], false), chunksOf(range));
}

/** @returns `failures`, the number of chunks that are not what they were, and the seconds it took */
export async function compareFingerprints(run: Run, ranges: readonly GuardedRange[]): Promise<Findings> {
  const tiles = ranges.reduce((sum, range) => sum + chunksOf(range), 0);
  return tiles === 0 ? NO_FINDINGS : run(taskOf(ranges, true), tiles);
}

function taskOf(ranges: readonly GuardedRange[], compare: boolean): FingerprintTask {
  return { kind: 'fingerprint', ranges, chunkBytes: RESULT_CHUNK_BYTES, compare };
}

function chunksOf({ byteLength }: GuardedRange, chunkBytes = RESULT_CHUNK_BYTES): number {
  return Math.ceil(byteLength / chunkBytes);
}

/** In a thread: chunk `index` of all ranges, one after the other. @param scratch byte offset of room for a fingerprint */
export function fingerprintTile(
  { ranges, chunkBytes, compare }: FingerprintTask,
  index: number,
  vectors: Vectors,
  memory: ArrayBufferLike,
  scratch: number,
): Findings {
  let chunk = index;
  for (const range of ranges) {
    const count = chunksOf(range, chunkBytes);
    if (chunk < count) {
      const start = chunk * chunkBytes;
      const byteLength = Math.min(range.byteLength - start, chunkBytes);
      const print = range.prints + chunk * FINGERPRINT_BYTES;
      const to = compare ? scratch : print;
      vectors.fingerprint({ byteOffset: range.byteOffset + start, byteLength, to });
      return compare && !isSame(memory, to, print) ? { ...NO_FINDINGS, failures: 1 } : NO_FINDINGS;
    }
    chunk -= count;
  }
  return NO_FINDINGS;
}

function isSame(memory: ArrayBufferLike, a: number, b: number): boolean {
  const [one, other] = [a, b].map(at => Buffer.from(memory, at, FINGERPRINT_BYTES)) as [Buffer, Buffer];
  return one.equals(other);
}
