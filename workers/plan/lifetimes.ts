// Where each buffer of a block lies: buffers whose lifetimes do not overlap share memory. First fit in order of
// birth, which is what a stack would do for a tree of operations, and never worse than no sharing at all.

/** Alive from step `first` to step `last`, both inclusive. */
export interface Lifetime {
  readonly bytes: number;
  readonly first: number;
  readonly last: number;
}

export interface Placement {
  /** In the order of the lifetimes; multiples of the alignment. */
  readonly byteOffsets: readonly number[];
  readonly totalBytes: number;
}

interface Placed {
  readonly start: number;
  readonly stop: number;
  readonly last: number;
}

/** O(n·a) for n buffers of which at most a are alive at one time. Buffers of no bytes take no place. */
export function placeBuffers(lifetimes: readonly Lifetime[], alignment: number): Placement {
  const byteOffsets = lifetimes.map(() => 0);
  const births = [...lifetimes.entries()].filter(([, { bytes }]) => bytes > 0);
  births.sort(([, a], [, b]) => a.first - b.first);
  /** By place. */
  let alive: Placed[] = [];
  let totalBytes = 0;
  for (const [index, { bytes, first, last }] of births) {
    alive = alive.filter(other => other.last >= first);
    const size = Math.ceil(bytes / alignment) * alignment;
    const { start, position } = firstGap(alive, size);
    alive.splice(position, 0, { start, stop: start + size, last });
    byteOffsets[index] = start;
    totalBytes = Math.max(totalBytes, start + size);
  }
  return { byteOffsets, totalBytes };
}

/** The lowest place for `size` bytes between the living, and its position among them. */
function firstGap(alive: readonly Placed[], size: number): { start: number; position: number } {
  let start = 0;
  for (const [position, other] of alive.entries()) {
    if (other.start - start >= size) return { start, position };
    start = other.stop;
  }
  return { start, position: alive.length };
}
