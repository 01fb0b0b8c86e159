// What a damaged result deserves, from its own rounding bound: computed here from the operands, not by the verifier.

import type { FloatArray } from '../../shared/math/dtype.ts';
import type { View } from '../../shared/math/view.ts';
import type { CombineTask } from '../../workers/execute/task.ts';
import { residualBound, underflowBound } from '../../workers/verify/bounds.ts';

export type Verdict =
  /** Nothing changed, or no more than correct arithmetic may be off by. */
  | 'within the bound'
  /** Several elements of a row are wrong: they escape where the signs of the test make them cancel. */
  | 'found by chance'
  /** Always found: a row has one wrong element, and it is beyond the bound. */
  | 'found for certain';

/** The bound of each row of C: how far Σ|C − Ĉ| may be in correct arithmetic. */
export function rowBounds({ dtype, c, terms }: CombineTask, data: FloatArray): Float64Array {
  const products = terms.filter(term => term.kind === 'product');
  const size = {
    dtype,
    innerLength: Math.max(...products.map(({ a }) => a.cols)),
    terms: terms.length,
    cols: c.cols,
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
 * `right` is a correct result: what is in it may be off by a row's bound as well, hence the factor of two. A row that
 * overflows has no bound; where operands hold `specials`, NaN and infinities must be where they belong.
 */
export function judge(
  right: readonly number[],
  damaged: readonly number[],
  bounds: Float64Array,
  cols: number,
  specials: boolean,
): Verdict {
  let verdict: Verdict = 'within the bound';
  for (const [i, bound] of bounds.entries()) {
    const [wanted, got] = [right, damaged].map(all => all.slice(i * cols, (i + 1) * cols)) as [
      number[],
      number[],
    ];
    if (!Number.isFinite(bound) || !wanted.every(Number.isFinite)) {
      const isMisplaced = wanted.some((value, j) => !isSameKind(value, got[j]!));
      if (specials && isMisplaced) return 'found for certain';
      continue;
    }
    const errors = got.map((value, j) => Math.abs(value - wanted[j]!)).filter(error => error !== 0);
    // NaN is not equal to 0, and is beyond every bound.
    if (!(Math.hypot(...errors) > 2 * bound) && errors.every(Number.isFinite)) continue;
    if (errors.length === 1 || !errors.every(Number.isFinite)) return 'found for certain';
    verdict = 'found by chance';
  }
  return verdict;
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
