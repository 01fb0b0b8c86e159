import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { denseView, sliceView, transposeView, type View } from '../../../shared/math/view.ts';
import { addScaled, fillZero, innerProduct, writeKronColumn } from '../../../workers/execute/elements.ts';

const SIZE = 512;

function memory(): Float64Array {
  return new Float64Array(SIZE).fill(Number.NaN);
}

function fill(data: Float64Array, v: View, element: (i: number, j: number) => number): void {
  for (let i = 0; i < v.rows; i++)
    for (let j = 0; j < v.cols; j++) data[v.offset + i * v.rowStride + j * v.colStride] = element(i, j);
}

function read(data: Float64Array, v: View): number[][] {
  return Array.from({ length: v.rows }, (_, i) =>
    Array.from({ length: v.cols }, (__, j) => data[v.offset + i * v.rowStride + j * v.colStride]!),
  );
}

/** How many elements are no longer poison. */
function written(data: Float64Array): number {
  return data.filter(value => !Number.isNaN(value)).length;
}

/** 3×4 in every way a view can lie. */
const LAYOUTS: Record<string, (offset: number) => View> = {
  rows: offset => denseView(3, 4, offset, 'C'),
  columns: offset => denseView(3, 4, offset, 'F'),
  transposed: offset => transposeView(denseView(4, 3, offset, 'C')),
  'part of a larger one': offset => sliceView(denseView(7, 9, offset), 2, 5, 3, 7),
  scattered: offset => ({ rows: 3, cols: 4, offset, rowStride: 17, colStride: 3 }),
};

describe('sums of matrices', () => {
  test('C ← c·X and C ← C + c·X, in every pair of layouts, touching nothing else', () => {
    for (const [nameC, layoutC] of Object.entries(LAYOUTS)) {
      for (const [nameX, layoutX] of Object.entries(LAYOUTS)) {
        const data = memory();
        const [c, x] = [layoutC(0), layoutX(256)];
        fill(data, x, (i, j) => 10 * i + j);
        addScaled(data, c, x, 3, false);
        addScaled(data, c, x, -1, true);
        const wanted = [0, 1, 2].map(i => [0, 1, 2, 3].map(j => 2 * (10 * i + j)));
        assert.deepEqual(read(data, c), wanted, `${nameC} from ${nameX}`);
        assert.equal(written(data), 24);
      }
    }
  });

  test('zero times a NaN or an infinity is NaN, and what C held is not read unless it is added to', () => {
    const data = memory();
    const [c, x] = [denseView(1, 2, 0), denseView(1, 2, 8)];
    data.set([Number.POSITIVE_INFINITY, 5], 8);
    addScaled(data, c, x, 0, false);
    assert.deepEqual(read(data, c), [[Number.NaN, 0]]);
  });

  test('zeros are filled in every layout, and only there', () => {
    for (const [name, layout] of Object.entries(LAYOUTS)) {
      const data = memory();
      fillZero(data, layout(20));
      assert.deepEqual(read(data, layout(20)).flat(), new Array(12).fill(0), name);
      assert.equal(written(data), 12);
    }
    const data = memory();
    fillZero(data, denseView(0, 4, 0));
    fillZero(data, denseView(4, 0, 0));
    assert.equal(written(data), 0);
  });

  test('an inner product is Σ aᵢⱼ·bᵢⱼ, in every pair of layouts; of nothing it is 0', () => {
    for (const layoutA of Object.values(LAYOUTS)) {
      for (const layoutB of Object.values(LAYOUTS)) {
        const data = memory();
        const [a, b] = [layoutA(0), layoutB(256)];
        fill(data, a, (i, j) => i + j);
        fill(data, b, (i, j) => i - 2 * j);
        let wanted = 0;
        for (const i of [0, 1, 2]) for (const j of [0, 1, 2, 3]) wanted += (i + j) * (i - 2 * j);
        assert.equal(innerProduct(data, a, b), wanted);
      }
    }
    assert.equal(innerProduct(memory(), denseView(0, 3, 0), denseView(0, 3, 0)), 0);
  });
});

describe('a column of left ⊗ right', () => {
  const left = [2, -3, 5];
  const right = [1, 10, 100, 1000];
  const kron = left.flatMap(l => right.map(r => 7 * l * r));

  /** Columns of matrices with some stride, and C behind them. */
  function factors() {
    const data = memory();
    left.forEach((value, i) => {
      data[2 * i + 1] = value;
    });
    right.forEach((value, i) => {
      data[100 + 3 * i] = value;
    });
    return {
      data,
      left: { rows: 3, column: 1, values: { rows: 3, cols: 2, offset: 0, rowStride: 2, colStride: 1 } },
      right: { rows: 4, column: 0, values: { rows: 4, cols: 1, offset: 100, rowStride: 3, colStride: 1 } },
    };
  }

  test('is written piece by piece wherever it is cut', () => {
    for (let start = 0; start <= 12; start++) {
      for (let stop = start; stop <= 12; stop++) {
        const given = factors();
        writeKronColumn(given.data, 200, start, stop, given.left, given.right, 7, false);
        assert.deepEqual([...given.data.subarray(200, 200 + stop - start)], kron.slice(start, stop));
        assert.equal(written(given.data), 7 + stop - start);
      }
    }
  });

  test('is added to what is there', () => {
    const given = factors();
    given.data.fill(1, 200, 212);
    writeKronColumn(given.data, 200, 0, 12, given.left, given.right, 7, true);
    assert.deepEqual(
      [...given.data.subarray(200, 212)],
      kron.map(value => value + 1),
    );
  });

  test('leaves the zeros of an identity alone, so that no NaN spreads to them', () => {
    const identity = (rows: number, column: number) => ({ rows, column, values: null });
    for (let start = 0; start <= 12; start++) {
      const given = factors();
      given.data[100 + 3] = Number.NaN;
      given.data.fill(0, 200, 212);
      writeKronColumn(given.data, 200, start, 12, identity(3, 2), given.right, 1, false);
      const wanted = [0, 0, 0, 0, 0, 0, 0, 0, 1, Number.NaN, 100, 1000].slice(start);
      assert.deepEqual([...given.data.subarray(200, 212 - start)], wanted);
    }
    const given = factors();
    given.data.fill(0, 200, 212);
    writeKronColumn(given.data, 200, 0, 12, given.left, identity(4, 1), 1, false);
    assert.deepEqual([...given.data.subarray(200, 212)], [0, 2, 0, 0, 0, -3, 0, 0, 0, 5, 0, 0]);
  });

  test('of factors without rows is nothing', () => {
    const given = factors();
    const before = written(given.data);
    writeKronColumn(given.data, 200, 0, 0, given.left, { ...given.right, rows: 0 }, 7, false);
    writeKronColumn(given.data, 200, 0, 0, { ...given.left, rows: 0 }, given.right, 7, false);
    assert.equal(written(given.data), before);
  });
});
