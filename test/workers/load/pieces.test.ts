import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { Range } from '../../../shared/math/graph.ts';
import type { Order } from '../../../shared/math/view.ts';
import { piecesOf } from '../../../workers/load/pieces.ts';

const side = fc.integer({ min: 0, max: 5 });

function within(total: number, a: number, b: number): Range {
  const [x, y] = [a % (total + 1), b % (total + 1)];
  return [Math.min(x, y), Math.max(x, y)];
}

/** Where element (s, i, j) of an array lies. */
function placeIn(order: Order, rows: number, cols: number, members: number) {
  return (s: number, i: number, j: number) =>
    order === 'C' ? (s * rows + i) * cols + j : s + members * (i + rows * j);
}

const boxes = fc
  .record({
    order: fc.constantFrom<Order>('C', 'F'),
    rows: side,
    cols: side,
    members: fc.option(side, { nil: undefined }),
    cuts: fc.array(fc.nat(60), { minLength: 6, maxLength: 6 }),
  })
  .map(({ order, rows, cols, members, cuts }) => {
    const [a, b, c, d, e, f] = cuts as [number, number, number, number, number, number];
    const slab = {
      rows: within(rows, a, b),
      cols: within(cols, c, d),
      ...(members !== undefined && { members: within(members, e, f) }),
    };
    return { order, input: { shape: { rows, cols }, ...(members !== undefined && { members }) }, slab };
  });

describe('the pieces of a box', () => {
  test('are its elements, each once, in the order of the file, in every layout', () => {
    fc.assert(
      fc.property(boxes, ({ order, input, slab }) => {
        const { rows, cols } = input.shape;
        const inFile = placeIn(order, rows, cols, input.members ?? 1);
        const [first, last] = slab.members ?? [0, 1];
        const inSlab = placeIn(order, slab.rows[1] - slab.rows[0], slab.cols[1] - slab.cols[0], last - first);
        const wanted = new Map<number, number>();
        for (let s = first; s < last; s++)
          for (let i = slab.rows[0]; i < slab.rows[1]; i++)
            for (let j = slab.cols[0]; j < slab.cols[1]; j++)
              wanted.set(inSlab(s - first, i - slab.rows[0], j - slab.cols[0]), inFile(s, i, j));
        let next = 0;
        for (const { from, to, length } of piecesOf(slab, input, order)) {
          assert.equal(to, next, 'pieces follow each other');
          assert.ok(length > 0);
          for (let e = 0; e < length; e++) assert.equal(from + e, wanted.get(to + e));
          next = to + length;
        }
        assert.equal(next, wanted.size);
      }),
      { numRuns: 1000 },
    );
  });

  test('are as few as can be: what lies together is one', () => {
    const count = (slab: Parameters<typeof piecesOf>[0], order: Order, members?: number) =>
      [
        ...piecesOf(
          slab,
          { shape: { rows: 100, cols: 50 }, ...(members !== undefined && { members }) },
          order,
        ),
      ].length;
    assert.equal(count({ rows: [0, 100], cols: [0, 50] }, 'C'), 1);
    assert.equal(count({ rows: [10, 20], cols: [0, 50] }, 'C'), 1);
    assert.equal(count({ rows: [10, 20], cols: [0, 50] }, 'F'), 50);
    assert.equal(count({ rows: [0, 100], cols: [10, 20] }, 'C'), 100);
    assert.equal(count({ rows: [0, 100], cols: [10, 20] }, 'F'), 1);
    assert.equal(count({ rows: [0, 100], cols: [0, 50], members: [3, 7] }, 'C', 9), 1);
    assert.equal(count({ rows: [0, 100], cols: [0, 50], members: [3, 7] }, 'F', 9), 5000);
    assert.equal(count({ rows: [4, 4], cols: [0, 50] }, 'F'), 0);
  });
});
