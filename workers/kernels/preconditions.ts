// What every kernel may rely on, as assertions: a tile or a scratch region that breaks these is a bug of the caller.

import { assert } from '../../shared/assert.ts';
import { DTYPES } from '../../shared/math/dtype.ts';
import type { View } from '../../shared/math/view.ts';
import type { GemmTile, Scratch } from './kernel.ts';
import { FINGERPRINT_BYTES, type Fingerprint, type Matvec } from './vectors.ts';

const SCRATCH_ALIGNMENT_BYTES = 64;

/** Asserts that shapes agree and that no element of the tile lies outside a memory of `memoryBytes`. */
export function assertTile({ dtype, a, b, c }: GemmTile, memoryBytes: number): void {
  const elements = memoryBytes / DTYPES[dtype].bytes;
  assert(a.rows === c.rows && b.cols === c.cols && a.cols === b.rows, 'the shapes of A, B and C agree');
  assertView(a, elements);
  assertView(b, elements);
  assertView(c, elements);
  const empty = c.rows === 0 || c.cols === 0;
  assert(empty || c.rows === 1 || c.rowStride > 0, 'no two rows of C are the same');
  assert(empty || c.cols === 1 || c.colStride > 0, 'no two columns of C are the same');
}

/** Asserts that A and the vectors of a matrix-vector product lie inside a memory of `memoryBytes`. */
export function assertMatvec({ dtype, a, x, y, w, z }: Matvec, memoryBytes: number): void {
  assertView(a, memoryBytes / DTYPES[dtype].bytes);
  for (const [name, start, length] of [
    ['x', x, a.cols],
    ['w', w, a.cols],
    ['y', y, a.rows],
    ['z', z, a.rows],
  ] as const)
    assert(isIndex(start) && (start + length) * 8 <= memoryBytes, `${name} lies inside the memory`);
}

/** Asserts that a range to be fingerprinted is whole vectors inside a memory of `memoryBytes`. */
export function assertFingerprint({ byteOffset, byteLength, to }: Fingerprint, memoryBytes: number): void {
  assert(isIndex(byteOffset) && byteOffset % 8 === 0, 'a range is aligned');
  assert(isIndex(byteLength) && byteLength % 16 === 0, 'a range is a whole number of vectors');
  assert(byteOffset + byteLength <= memoryBytes, 'a range lies inside the memory');
  assert(
    isIndex(to) && to % 8 === 0 && to + FINGERPRINT_BYTES <= memoryBytes,
    'a fingerprint lies inside the memory',
  );
}

/** Asserts that a view's elements lie in [0, elements). Zero strides repeat an element, which reading permits. */
function assertView(v: View, elements: number): void {
  assert(isIndex(v.rows) && isIndex(v.cols), 'a view has a whole number of rows and columns');
  assert(isIndex(v.offset) && isIndex(v.rowStride) && isIndex(v.colStride), 'strides are not negative');
  if (v.rows === 0 || v.cols === 0) return;
  const last = v.offset + (v.rows - 1) * v.rowStride + (v.cols - 1) * v.colStride;
  assert(last < elements, 'a view lies inside the memory');
}

/** Asserts that a scratch region is aligned, large enough, and inside the memory. */
export function assertScratch({ byteOffset, byteLength }: Scratch, bytes: number, memoryBytes: number): void {
  assert(isIndex(byteOffset) && byteOffset % SCRATCH_ALIGNMENT_BYTES === 0, 'scratch is aligned');
  assert(byteLength >= bytes, `scratch holds ${bytes} bytes`);
  assert(byteOffset + byteLength <= memoryBytes, 'scratch lies inside the memory');
}

function isIndex(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}
