// What a damaged result deserves, from its own rounding bound: computed here from the operands, not by the verifier.

import type { FloatArray } from '../../shared/math/dtype.ts';
import type { View } from '../../shared/math/view.ts';
import type { CombineTask } from '../../workers/execute/task.ts';
import { residualBound, underflowBound } from '../../workers/verify/bounds.ts';

/** The bound of each row of C: how far the test lets Σ|C − Ĉ| be off, by rows or by columns. */
export function rowBounds({ dtype, c, terms }: CombineTask, data: FloatArray): Float64Array {
  const products = terms.filter(term => term.kind === 'product');
  const size = {
    dtype,
    innerLength: Math.max(...products.map(({ a }) => a.cols)),
    terms: terms.length,
    cols: Math.max(c.rows, c.cols),
    alpha: Math.max(...products.map(({ alpha }) => Math.abs(alpha))),
  };
  const magnitudes = new Float64Array(c.rows);
  for (const { alpha, a, b } of products) {
    const sums = Float64Array.from({ length: b.rows }, (_, p) => rowMagnitude(data, b, p));
    for (let i = 0; i < c.rows; i++) {
      for (let p = 0; p < a.cols; p++) magnitudes[i]! += Math.abs(alpha * element(data, a, i, p)) * sums[p]!;
    }
  }
  for (const term of terms) {
    if (term.kind !== 'matrix') continue;
    for (let i = 0; i < c.rows; i++)
      magnitudes[i]! += Math.abs(term.coefficient) * rowMagnitude(data, term.x, i);
  }
  const relative = residualBound(size);
  return magnitudes.map(magnitude => relative * magnitude + underflowBound(size));
}

/** The elements of C, row by row; `writeElements` puts them back. */
export function elementsOf({ c }: CombineTask, data: FloatArray): number[] {
  return Array.from({ length: c.rows * c.cols }, (_, e) =>
    element(data, c, Math.floor(e / c.cols), e % c.cols),
  );
}

export function writeElements({ c }: CombineTask, data: FloatArray, values: readonly number[]): void {
  values.forEach((value, e) => {
    data[c.offset + Math.floor(e / c.cols) * c.rowStride + (e % c.cols) * c.colStride] = value;
  });
}

/** Whether an operand of a product holds NaN or an infinity. */
export function holdsSpecials({ terms }: CombineTask, data: FloatArray): boolean {
  return terms
    .filter(term => term.kind === 'product')
    .flatMap(({ a, b }) => [a, b])
    .some(
      view =>
        !Array.from({ length: view.rows }, (_, i) => rowMagnitude(data, view, i)).every(Number.isFinite),
    );
}

/**
 * Whether damage goes beyond the bound: Σ|C − Ĉ| over all elements is more than twice the bounds of all rows. Twice,
 * because `right` may itself be off. A row or column with damage that escapes the test has none of that size: damage to
 * one row shows in each of its columns alone. A row that overflows has no bound; where operands hold `specials`, NaN
 * and infinities must be where they belong.
 */
export function isBeyondBound(
  right: readonly number[],
  damaged: readonly number[],
  bounds: Float64Array,
  cols: number,
  specials: boolean,
): boolean {
  let [error, bound] = [0, 0];
  for (const [i, rowBound] of bounds.entries()) {
    const [wanted, got] = [right, damaged].map(all => all.slice(i * cols, (i + 1) * cols)) as [
      number[],
      number[],
    ];
    if (Number.isFinite(rowBound) && wanted.every(Number.isFinite)) {
      bound += rowBound;
      error += got.reduce((sum, value, j) => sum + Math.abs(value - wanted[j]!), 0);
    } else if (specials && wanted.some((value, j) => !isSameKind(value, got[j]!))) {
      return true;
    }
  }
  // NaN is beyond every bound.
  return !(error <= 2 * bound);
}

function isSameKind(a: number, b: number): boolean {
  return Number.isFinite(a) ? Number.isFinite(b) : Object.is(a, b);
}

function rowMagnitude(data: FloatArray, view: View, i: number): number {
  let sum = 0;
  for (let j = 0; j < view.cols; j++) sum += Math.abs(element(data, view, i, j));
  return sum;
}

function element(data: FloatArray, { offset, rowStride, colStride }: View, i: number, j: number): number {
  return data[offset + i * rowStride + j * colStride]!;
}
