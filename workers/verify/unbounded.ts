// Rows without a bound, because an operand holds NaN or an infinity there. Columns of B that hold one are set aside, and
// the rest of the row is tested like any other. Elements that meet one are computed by themselves: they must be NaN or
// infinite where any order of summation makes them so, and close to the exact sum elsewhere. A sum that may overflow
// is entitled to, and is passed over. Slow, and needed by such data alone.

import { DTYPES, type Dtype, type FloatArray } from '../../shared/math/dtype.ts';
import type { View } from '../../shared/math/view.ts';
import { type ImagedTerm, type MatrixTerm, memberView, type ResidualTask } from '../execute/task.ts';
import { LARGEST, mustBeJudged } from './bounds.ts';

/** What is known of the right factors of a step and member. */
interface Sieve {
  readonly task: ResidualTask;
  readonly member: number;
  /** By column of C: whether no right factor holds NaN or an infinity in it. */
  readonly finiteColumns: readonly boolean[];
  /** For each product B·x and |B|·1 over finite columns. */
  readonly images: readonly Images[];
}

interface Images {
  readonly y: Float64Array;
  readonly z: Float64Array;
}

/** Tells whether a row of C is wrong; `elements` are the whole memory. Remembers the last step and member. */
export function createUnboundedRows(elements: Record<Dtype, FloatArray>) {
  let last: Sieve | undefined;

  return function isRowWrong(task: ResidualTask, member: number, i: number): boolean {
    const data = elements[task.dtype];
    const signs = elements.float64.subarray(task.x / DTYPES.float64.bytes);
    if (last?.task !== task || last.member !== member) last = sieve(task, member, data, signs);
    const { finiteColumns, images } = last;
    const columns = Array.from({ length: task.c.cols }, (_, j) => j);
    const mayFail = (j: number) => isElementWrong(task, member, data, i, j);
    if (!isRowFinite(task, member, data, i, finiteColumns)) return columns.some(mayFail);
    return (
      isResidualWrong(task, member, data, i, signs, finiteColumns, images) ||
      columns.some(j => !finiteColumns[j] && mayFail(j))
    );
  };
}

function sieve(task: ResidualTask, member: number, data: FloatArray, signs: FloatArray): Sieve {
  const { c, products } = task;
  const finiteColumns = Array.from({ length: c.cols }, () => true);
  const factors = products.map(({ b }) => memberView(b, member));
  for (const b of factors) {
    for (let p = 0; p < b.rows; p++)
      for (let j = 0; j < b.cols; j++) if (!Number.isFinite(element(data, b, p, j))) finiteColumns[j] = false;
  }
  return { task, member, finiteColumns, images: factors.map(b => imagesOf(b, data, signs, finiteColumns)) };
}

function imagesOf(b: View, data: FloatArray, signs: FloatArray, finiteColumns: readonly boolean[]): Images {
  const images = { y: new Float64Array(b.rows), z: new Float64Array(b.rows) };
  for (let p = 0; p < b.rows; p++) {
    for (let j = 0; j < b.cols; j++) {
      if (!finiteColumns[j]) continue;
      const value = element(data, b, p, j);
      images.y[p]! += value * signs[j]!;
      images.z[p]! += Math.abs(value);
    }
  }
  return images;
}

/** Whether row i of every left factor is finite, and that of every matrix in the columns that are not set aside. */
function isRowFinite(
  { products, matrices, c }: ResidualTask,
  member: number,
  data: FloatArray,
  i: number,
  finiteColumns: readonly boolean[],
): boolean {
  const isFiniteAt = (view: View, j: number) => Number.isFinite(element(data, view, i, j));
  for (const product of products) {
    const a = memberView(product.a, member);
    for (let p = 0; p < a.cols; p++) if (!isFiniteAt(a, p)) return false;
  }
  for (const matrix of matrices) {
    if (!Number.isFinite(factorOf(matrix, member, data))) return false;
    const x = memberView(matrix.x, member);
    for (let j = 0; j < c.cols; j++) if (finiteColumns[j] && !isFiniteAt(x, j)) return false;
  }
  return true;
}

/** Freivalds' test of a finite row over finite columns. */
function isResidualWrong(
  task: ResidualTask,
  member: number,
  data: FloatArray,
  i: number,
  signs: FloatArray,
  finiteColumns: readonly boolean[],
  images: readonly Images[],
): boolean {
  let [expected, magnitude, reach, computed] = [0, 0, 0, 0];
  for (const [index, product] of task.products.entries()) {
    const a = memberView(product.a, member);
    const { y, z } = images[index]!;
    let [sum, size] = [0, 0];
    for (let p = 0; p < a.cols; p++) {
      const value = element(data, a, i, p);
      sum += value * y[p]!;
      size += Math.abs(value) * z[p]!;
    }
    expected += product.alpha * sum;
    magnitude += Math.abs(product.alpha) * size;
    reach += Math.max(1, Math.abs(product.alpha)) * size;
  }
  const c = memberView(task.c, member);
  for (let j = 0; j < c.cols; j++) {
    if (!finiteColumns[j]) continue;
    computed += element(data, c, i, j) * signs[j]!;
    for (const matrix of task.matrices) {
      const value = factorOf(matrix, member, data) * element(data, memberView(matrix.x, member), i, j);
      expected += value * signs[j]!;
      magnitude += Math.abs(value);
      reach += Math.abs(value);
    }
  }
  return isWrong(task, Math.abs(computed - expected), magnitude, reach);
}

function isWrong(
  { dtype, relativeBound, absoluteBound }: ResidualTask,
  residual: number,
  magnitude: number,
  reach: number,
) {
  const bound = relativeBound * magnitude + absoluteBound;
  return !(residual <= bound) && mustBeJudged(residual, bound, reach, dtype);
}

/** The terms of one element: its finite ones as a sum, of the others which kinds there are. */
interface Terms {
  sum: number;
  magnitude: number;
  reach: number;
  isNaN: boolean;
  isPositive: boolean;
  isNegative: boolean;
}

function isElementWrong(task: ResidualTask, member: number, data: FloatArray, i: number, j: number): boolean {
  const value = element(data, memberView(task.c, member), i, j);
  const terms = { sum: 0, magnitude: 0, reach: 0, isNaN: false, isPositive: false, isNegative: false };
  for (const product of task.products) {
    addProduct(terms, product, member, data, i, j);
    if (terms.isNaN) return !Number.isNaN(value);
  }
  for (const matrix of task.matrices) {
    const x = element(data, memberView(matrix.x, member), i, j);
    addTerm(terms, factorOf(matrix, member, data), x, 1);
  }
  if (terms.isNaN || (terms.isPositive && terms.isNegative)) return !Number.isNaN(value);
  if (!terms.isPositive && !terms.isNegative)
    return isWrong(task, Math.abs(value - terms.sum), terms.magnitude, terms.reach);
  const expected = terms.isPositive ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY;
  // Finite terms may have overflowed to the other side.
  return value !== expected && terms.reach < LARGEST[task.dtype];
}

function addProduct(
  terms: Terms,
  { alpha, a: left, b: right }: ImagedTerm,
  member: number,
  data: FloatArray,
  i: number,
  j: number,
): void {
  const [a, b] = [memberView(left, member), memberView(right, member)];
  for (let p = 0; p < a.cols && !terms.isNaN; p++)
    addTerm(terms, element(data, a, i, p), element(data, b, p, j), alpha);
}

/** Adds α·x·y. */
function addTerm(terms: Terms, x: number, y: number, alpha: number): void {
  const product = x * y;
  if (Number.isFinite(x) && Number.isFinite(y)) {
    terms.sum += alpha * product;
    terms.magnitude += Math.abs(alpha * product);
    terms.reach += Math.max(1, Math.abs(alpha)) * Math.abs(product);
    return;
  }
  const value = alpha * product;
  terms.isNaN ||= Number.isNaN(value);
  terms.isPositive ||= value === Number.POSITIVE_INFINITY;
  terms.isNegative ||= value === Number.NEGATIVE_INFINITY;
}

function factorOf({ coefficient, scalar }: MatrixTerm, member: number, data: FloatArray): number {
  return coefficient * (scalar === null ? 1 : data[memberView(scalar, member).offset]!);
}

function element(data: FloatArray, { offset, rowStride, colStride }: View, i: number, j: number): number {
  return data[offset + i * rowStride + j * colStride]!;
}
