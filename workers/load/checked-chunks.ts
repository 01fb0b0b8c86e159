// Arrays that are read in parts are checked in parts: every chunk that a part touches is compared with the digest of
// its upload, once for as long as this process remembers it. Reading it a second time then comes from the page cache.

import type { OpenArray } from '../../shared/io/array-store.ts';
import { RESULT_CHUNK_BYTES } from '../../shared/job/limits.ts';
import { eachInFlight } from './in-flight.ts';

/** Arrays remembered; the largest has 16,384 chunks. */
const ARRAYS_MAX = 256;
/** Chunks that are read and hashed at a time for one slab: each in memory of its own beside the arena. */
const CHUNKS_IN_FLIGHT = 3;

export type CheckedChunks = ReturnType<typeof createCheckedChunks>;

export function createCheckedChunks() {
  /** By array, what became of each chunk. Insertion order is recency. */
  const arrays = new Map<string, Map<number, Promise<void>>>();

  function remembered(key: string): Map<number, Promise<void>> {
    const chunks = arrays.get(key) ?? new Map<number, Promise<void>>();
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
      await eachInFlight(chunksUnder(ranges), CHUNKS_IN_FLIGHT, chunk => {
        const known = intact.get(chunk) ?? readChunk(array, chunk);
        intact.set(chunk, known);
        // What failed is read again by whoever asks next.
        known.catch(() => intact.delete(chunk));
        return known;
      });
    },
  };
}

/** Each chunk once, if ranges ascend. */
function* chunksUnder(ranges: Iterable<readonly [start: number, stop: number]>): Generator<number> {
  let next = 0;
  for (const [start, stop] of ranges) {
    const last = Math.floor((stop - 1) / RESULT_CHUNK_BYTES);
    for (next = Math.max(next, Math.floor(start / RESULT_CHUNK_BYTES)); next <= last; next++) yield next;
  }
}

async function readChunk(array: OpenArray, chunk: number): Promise<void> {
  const start = chunk * RESULT_CHUNK_BYTES;
  const pieces = array.readVerified(start, Math.min(array.footer.bytes, start + RESULT_CHUNK_BYTES));
  // Whatever comes out has been compared.
  while (!(await pieces.next()).done);
}
