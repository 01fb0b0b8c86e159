// Reads stored data in row order (C), whatever order they are stored in, for the text formats. Column-ordered data are
// brought into rows panel by panel: each panel is one pass over the stored bytes, so that memory stays bounded and
// storage is only ever read forwards.

import { DTYPES, type FloatArray, floatArray } from '../math/dtype.ts';
import type { ArrayHeader } from './array-header.ts';

/** Answers the data bytes [start, stop) of an array, in pieces of any size. */
export type ReadBytes = (start: number, stop: number) => AsyncIterable<Uint8Array>;

/** Memory for one panel: nearly every array written as text fits whole, and so is read once. */
export const PANEL_BYTES = 32 * 1024 * 1024;

/** All values, last index fastest. A yielded array is valid until the next one is asked for. */
export async function* valuesInRowOrder(
  header: ArrayHeader,
  read: ReadBytes,
  panelBytes = PANEL_BYTES,
): AsyncGenerator<FloatArray> {
  const itemBytes = DTYPES[header.dtype].bytes;
  const length = header.shape.reduce((product, side) => product * side, 1);
  if (header.order === 'C') {
    yield* storedValues(header, read(0, length * itemBytes));
    return;
  }
  const panelLength = Math.min(length, Math.max(1, Math.floor(panelBytes / itemBytes)));
  const panel = floatArray(header.dtype, new ArrayBuffer(panelLength * itemBytes), 0, panelLength);
  for (let start = 0; start < length; start += panelLength) {
    const stop = Math.min(start + panelLength, length);
    let position = 0;
    for await (const values of storedValues(header, read(0, length * itemBytes))) {
      scatter(header.shape, values, position, panel, start, stop);
      position += values.length;
    }
    yield panel.subarray(0, stop - start);
  }
}

/**
 * Puts column-ordered `values`, the first of which is stored at `position`, where they belong in a panel that holds
 * the row-ordered elements [start, stop). Goes column by column: in row order, the elements of a column (first index
 * running) stand `stride` apart, so those inside the panel are a range of the first index.
 */
function scatter(
  shape: readonly number[],
  values: FloatArray,
  position: number,
  panel: FloatArray,
  start: number,
  stop: number,
): void {
  const [rows = 1, middle = 1, last = 1] = shape;
  const stride = middle * last;
  for (let taken = 0; taken < values.length; ) {
    const column = Math.floor((position + taken) / rows);
    const row = (position + taken) % rows;
    const rowStop = Math.min(rows, row + values.length - taken);
    // Stored column q holds the middle index q mod `middle` and the last index q div `middle`.
    const base = (column % middle) * last + Math.floor(column / middle);
    const first = Math.max(row, Math.ceil((start - base) / stride));
    const beyond = Math.min(rowStop, Math.ceil((stop - base) / stride));
    for (let i = first; i < beyond; i += 1) panel[base + i * stride - start] = values[taken + i - row]!;
    taken += rowStop - row;
  }
}

/** Bytes in pieces of any size and alignment to values; an element that straddles two pieces is put together. */
async function* storedValues(
  { dtype }: ArrayHeader,
  pieces: AsyncIterable<Uint8Array>,
): AsyncGenerator<FloatArray> {
  const itemBytes = DTYPES[dtype].bytes;
  let held = new Uint8Array(0);
  for await (const piece of pieces) {
    // One copy joins what was held and aligns the rest.
    const joined = new Uint8Array(held.byteLength + piece.byteLength);
    joined.set(held);
    joined.set(piece, held.byteLength);
    const length = Math.floor(joined.byteLength / itemBytes);
    held = joined.subarray(length * itemBytes);
    if (length > 0) yield floatArray(dtype, joined.buffer, 0, length);
  }
}
