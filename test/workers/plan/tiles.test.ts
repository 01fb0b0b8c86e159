import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { denseView } from '../../../shared/math/view.ts';
import type { Term } from '../../../workers/execute/task.ts';
import { type Extent, type TileSize, tileAt, tileCount } from '../../../workers/execute/tile.ts';
import { chooseTiles, ROWS_PER_TILE_MAX, rowTiles } from '../../../workers/plan/tiles.ts';

type Inner = { readonly cols: number };

const product = (k: number): Term<Inner> => ({ kind: 'product', alpha: 1, a: { cols: k }, b: { cols: 0 } });
const copy: Term<Inner> = { kind: 'matrix', coefficient: 1, scalar: null, x: { cols: 0 } };

/** Asserts that every element of the stack lies in exactly one tile, and that no tile leaves it. */
function assertPartition(extent: Extent, size: TileSize): void {
  const { members, rows, cols } = extent;
  const covered = new Uint8Array(members * rows * cols);
  const count = tileCount(extent, size);
  for (let index = 0; index < count; index++) {
    const tile = tileAt(index, extent, size);
    const isPart = tile.rowStop - tile.rowStart < rows || tile.colStop - tile.colStart < cols;
    assert.ok(!isPart || tile.memberStop - tile.memberStart === 1, 'parts are of one member');
    for (let s = tile.memberStart; s < tile.memberStop; s++) {
      for (let i = tile.rowStart; i < tile.rowStop; i++) {
        for (let j = tile.colStart; j < tile.colStop; j++) covered[(s * rows + i) * cols + j]! += 1;
      }
    }
    assert.ok(tile.memberStop <= members && tile.rowStop <= rows && tile.colStop <= cols);
  }
  assert.ok(
    covered.every(times => times === 1),
    `${members}×${rows}×${cols} is covered once`,
  );
}

const extents = fc.record({
  members: fc.constantFrom(0, 1, 2, 7, 40),
  rows: fc.constantFrom(0, 1, 5, 31, 33, 130, 600),
  cols: fc.constantFrom(0, 1, 5, 31, 33, 130, 300),
});
const threads = fc.constantFrom(1, 2, 3, 16, 64);

describe('tiles', () => {
  test('cover every output exactly once, whatever the terms, layout and threads', () => {
    const terms = fc.constantFrom([product(8)], [copy], [copy, product(0)], []);
    fc.assert(
      fc.property(
        extents,
        threads,
        terms,
        fc.constantFrom('C' as const, 'F' as const),
        (extent, count, sum, order) => {
          const c = denseView(extent.rows, extent.cols, 0, order);
          assertPartition(extent, chooseTiles(c, extent.members, sum, count));
        },
      ),
      { numRuns: 150 },
    );
  });

  test('of rows cover them exactly once, in runs that a thread has room for', () => {
    fc.assert(
      fc.property(extents, threads, fc.boolean(), (extent, count, isColumnMajor) => {
        const { rowStride, colStride } = denseView(extent.rows, extent.cols, 0, isColumnMajor ? 'F' : 'C');
        const strides = { rowStride, colStride };
        const size = rowTiles({ ...extent, ...strides }, extent.members, count);
        assert.ok(size.tileRows <= ROWS_PER_TILE_MAX);
        assertPartition({ ...extent, cols: 1 }, size);
      }),
      { numRuns: 150 },
    );
  });

  test('there are enough of a large product to keep all threads busy', () => {
    for (const count of [1, 2, 8, 32]) {
      const c = denseView(2048, 2048, 0);
      const size = chooseTiles(c, 1, [product(2048)], count);
      assert.ok(tileCount({ members: 1, rows: 2048, cols: 2048 }, size) >= 3 * count);
    }
  });

  test('small members are taken many at a time, and still by all threads', () => {
    const c = denseView(8, 8, 0);
    const size = chooseTiles(c, 100_000, [product(8)], 2);
    const count = tileCount({ members: 100_000, rows: 8, cols: 8 }, size);
    assert.ok(size.tileMembers > 50 && count >= 6);
    assert.equal(chooseTiles(c, 4, [product(8)], 2).tileMembers, 1);
  });

  test('elements are taken by whole lines, as they lie', () => {
    const rowMajor = chooseTiles(denseView(1000, 1000, 0, 'C'), 1, [copy], 2);
    assert.deepEqual([rowMajor.tileRows, rowMajor.tileCols], [65, 1000]);
    const columnMajor = chooseTiles(denseView(1000, 1000, 0, 'F'), 1, [copy], 2);
    assert.deepEqual([columnMajor.tileRows, columnMajor.tileCols], [1000, 65]);
  });
});
