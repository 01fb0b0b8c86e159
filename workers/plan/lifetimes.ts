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

/** O(n²) in the number of buffers, which is at most a few thousand. */
export function placeBuffers(lifetimes: readonly Lifetime[], alignment: number): Placement {
  const byteOffsets: number[] = [];
  let totalBytes = 0;
  lifetimes.forEach((buffer, index) => {
    const bytes = Math.ceil(buffer.bytes / alignment) * alignment;
    const neighbours = lifetimes
      .slice(0, index)
      .map((other, at) => ({ other, start: byteOffsets[at]! }))
      .filter(({ other }) => other.bytes > 0 && other.first <= buffer.last && buffer.first <= other.last)
      .sort((a, b) => a.start - b.start);
    let offset = 0;
    for (const { other, start } of neighbours) {
      if (start - offset >= bytes) break;
      offset = Math.max(offset, start + Math.ceil(other.bytes / alignment) * alignment);
    }
    byteOffsets.push(offset);
    totalBytes = Math.max(totalBytes, offset + bytes);
  });
  return { byteOffsets, totalBytes };
}
