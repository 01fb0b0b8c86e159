// Arrays that are read in parts are checked in parts: every chunk that a part touches is compared with the digest of
// its upload, once for as long as this process remembers it. Reading it a second time then comes from the page cache.

import type { OpenArray } from '../../shared/io/array-store.ts';
import { RESULT_CHUNK_BYTES } from '../../shared/job/limits.ts';

/** Arrays remembered; the largest has 16,384 chunks. */
const ARRAYS_MAX = 256;

export type CheckedChunks = ReturnType<typeof createCheckedChunks>;

export function createCheckedChunks() {
  /** Insertion order is recency. */
  const arrays = new Map<string, Set<number>>();

  function remembered(key: string): Set<number> {
    const chunks = arrays.get(key) ?? new Set();
    arrays.delete(key);
    arrays.set(key, chunks);
    if (arrays.size > ARRAYS_MAX) arrays.delete(arrays.keys().next().value!); // not empty
    return chunks;
  }

  return {
    /**
     * Compares the chunks under some ranges of bytes with their digests. @param key names the array
     * @throws operand-corrupt
     */
    async check(key: string, array: OpenArray, ranges: Iterable<readonly [start: number, stop: number]>) {
      const intact = remembered(key);
      for (const [start, stop] of ranges) {
        const last = Math.floor((stop - 1) / RESULT_CHUNK_BYTES);
        for (let chunk = Math.floor(start / RESULT_CHUNK_BYTES); chunk <= last; chunk++) {
          if (intact.has(chunk)) continue;
          await readChunk(array, chunk);
          intact.add(chunk);
        }
      }
    },
  };
}

async function readChunk(array: OpenArray, chunk: number): Promise<void> {
  const start = chunk * RESULT_CHUNK_BYTES;
  const pieces = array.readVerified(start, Math.min(array.footer.bytes, start + RESULT_CHUNK_BYTES));
  // Whatever comes out has been compared.
  while (!(await pieces.next()).done);
}
