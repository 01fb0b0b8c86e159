import assert from 'node:assert/strict';
import { test } from 'node:test';
import { denseView } from '../../../shared/math/view.ts';
import { assertScratch, assertTile } from '../../../workers/kernels/preconditions.ts';

const MEMORY_BYTES = 65536;
const LAST = MEMORY_BYTES / 8;
const good = {
  dtype: 'float64',
  alpha: 1,
  a: denseView(2, 3, 0),
  b: denseView(3, 4, 6),
  beta: 0,
  c: denseView(2, 4, LAST - 8),
} as const;

test('a tile up to the last element of the memory is accepted', () => {
  assertTile(good, MEMORY_BYTES);
  assertTile({ ...good, a: denseView(2, 0, 0), b: denseView(0, 4, 0) }, MEMORY_BYTES);
  assertTile({ ...good, a: denseView(0, 3, 0, 'F'), c: denseView(0, 4, 0, 'F') }, MEMORY_BYTES);
});

for (const [what, change] of Object.entries({
  'inner dimensions that differ': { b: denseView(2, 4, 6) },
  'a result of another shape': { c: denseView(4, 2, 0) },
  'a result one element past the memory': { c: denseView(2, 4, LAST - 7) },
  'an operand past the memory': { a: { ...denseView(2, 3, 0), rowStride: LAST } },
  'a negative stride': { a: { ...denseView(2, 3, 6), rowStride: -3 } },
  'half an element': { a: denseView(2, 3, 0.5) },
  'rows of C on one another': { c: { ...denseView(2, 4, 0), rowStride: 0 } },
  'columns of C on one another': { c: { ...denseView(2, 4, 0), colStride: 0 } },
})) {
  test(`${what} is a bug of the caller`, () => {
    assert.throws(() => assertTile({ ...good, ...change }, MEMORY_BYTES), { name: 'AssertionError' });
  });
}

test('scratch must be aligned, large enough and inside the memory', () => {
  assertScratch({ byteOffset: 64, byteLength: 128 }, 128, 192);
  assert.throws(() => assertScratch({ byteOffset: 8, byteLength: 128 }, 128, 192), /aligned/);
  assert.throws(() => assertScratch({ byteOffset: 64, byteLength: 120 }, 128, 192), /holds 128 bytes/);
  assert.throws(() => assertScratch({ byteOffset: 128, byteLength: 128 }, 128, 192), /inside the memory/);
});
