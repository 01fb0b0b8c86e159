// Tiles that are not products: sums of scaled matrices, Kronecker columns, inner products. Plain loops over strided
// views; each element is computed in float64 and rounded once when it is stored.

import type { FloatArray } from '../../shared/math/dtype.ts';
import { transposeView, type View } from '../../shared/math/view.ts';

/** C ← coefficient·X, or C ← C + coefficient·X where `accumulate`. Same shape, any strides, no overlap. */
export function addScaled(
  data: FloatArray,
  c: View,
  x: View,
  coefficient: number,
  accumulate: boolean,
): void {
  if (c.rowStride < c.colStride) {
    addScaled(data, transposeView(c), transposeView(x), coefficient, accumulate);
    return;
  }
  const isCopy = coefficient === 1 && !accumulate && c.colStride === 1 && x.colStride === 1;
  for (let i = 0; i < c.rows; i++) {
    let to = c.offset + i * c.rowStride;
    let from = x.offset + i * x.rowStride;
    if (isCopy) {
      data.copyWithin(to, from, from + c.cols);
      continue;
    }
    for (let j = 0; j < c.cols; j++) {
      data[to] = accumulate ? data[to]! + coefficient * data[from]! : coefficient * data[from]!;
      to += c.colStride;
      from += x.colStride;
    }
  }
}

export function fillZero(data: FloatArray, c: View): void {
  if (c.rowStride < c.colStride) {
    fillZero(data, transposeView(c));
    return;
  }
  for (let i = 0; i < c.rows; i++) {
    const start = c.offset + i * c.rowStride;
    if (c.colStride === 1) data.fill(0, start, start + c.cols);
    else for (let j = 0; j < c.cols; j++) data[start + j * c.colStride] = 0;
  }
}

/** ⟨A, B⟩ = Σ aᵢⱼ·bᵢⱼ, summed by rows and then over rows, in float64. */
export function innerProduct(data: FloatArray, a: View, b: View): number {
  let total = 0;
  for (let i = 0; i < a.rows; i++) {
    let row = 0;
    let left = a.offset + i * a.rowStride;
    let right = b.offset + i * b.rowStride;
    for (let j = 0; j < a.cols; j++) {
      row += data[left]! * data[right]!;
      left += a.colStride;
      right += b.colStride;
    }
    total += row;
  }
  return total;
}

/** One factor's column for a Kronecker tile: `values` null is column `column` of the identity. */
export interface FactorColumn {
  readonly rows: number;
  readonly values: View | null;
  readonly column: number;
}

/**
 * Writes (or adds, where `accumulate`) rows [rowStart, rowStop) of coefficient·(left ⊗ right), two columns, to a
 * contiguous piece of a column of C. Where a factor is the identity its zeros are left alone: they are structure,
 * not numbers (the Jacobian of A·W has no NaN off its diagonal), so whoever does not accumulate has filled C with 0.
 */
export function writeKronColumn(
  data: FloatArray,
  to: number,
  rowStart: number,
  rowStop: number,
  left: FactorColumn,
  right: FactorColumn,
  coefficient: number,
  accumulate: boolean,
): void {
  const height = right.rows;
  if (height === 0) return;
  const single = left.values === null;
  const first = single ? left.column : Math.floor(rowStart / height);
  const last = single ? left.column : Math.floor((rowStop - 1) / height);
  for (let blockRow = first; blockRow <= last; blockRow++) {
    const start = Math.max(rowStart, blockRow * height);
    const stop = Math.min(rowStop, (blockRow + 1) * height);
    if (start >= stop) continue;
    const factor = coefficient * element(data, left, blockRow);
    const piece = { to: to + start - rowStart, first: start - blockRow * height, count: stop - start };
    writeFactor(data, piece, right, factor, accumulate);
  }
}

function writeFactor(
  data: FloatArray,
  { to, first, count }: { to: number; first: number; count: number },
  right: FactorColumn,
  factor: number,
  accumulate: boolean,
): void {
  if (right.values === null) {
    const at = right.column - first;
    if (at >= 0 && at < count) data[to + at] = accumulate ? data[to + at]! + factor : factor;
    return;
  }
  const { offset, rowStride, colStride } = right.values;
  let from = offset + first * rowStride + right.column * colStride;
  for (let i = 0; i < count; i++) {
    data[to + i] = accumulate ? data[to + i]! + factor * data[from]! : factor * data[from]!;
    from += rowStride;
  }
}

function element(data: FloatArray, factor: FactorColumn, row: number): number {
  if (factor.values === null) return 1;
  const { offset, rowStride, colStride } = factor.values;
  return data[offset + row * rowStride + factor.column * colStride]!;
}
