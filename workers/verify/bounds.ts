// How far a correct product may be from the exact one. Bounds follow Higham, Accuracy and Stability of Numerical
// Algorithms (2nd ed.), §3.1 and §3.5; none is a tuned tolerance.

import { DTYPES, type Dtype } from '../../shared/math/dtype.ts';

const CHECK_ROUNDOFF = DTYPES.float64.unitRoundoff;

/** γ_n = n·u / (1 − n·u): the relative error of n successive roundings. Infinite where n·u reaches 1. */
export function gamma(count: number, unitRoundoff: number): number {
  const product = count * unitRoundoff;
  return product < 1 ? product / (1 - product) : Number.POSITIVE_INFINITY;
}

/**
 * Relative to (|A||B|1)ᵢ, how large a row's residual of Freivalds' test may be when C = Σ αAB + Σ cX was computed
 * correctly in `dtype`: the row itself carries γ of the longest sum plus one rounding for each α and each term
 * added; the test's own three sums of length ≤ k + n run in float64.
 *
 * @param innerLength the longest inner dimension k; @param terms the number of terms; @param cols n.
 */
export function residualBound(dtype: Dtype, innerLength: number, terms: number, cols: number): number {
  const computed = gamma(innerLength + 2 * terms + 2, DTYPES[dtype].unitRoundoff);
  const tested = gamma(2 * (innerLength + cols) + 4 * terms + 4, CHECK_ROUNDOFF);
  return computed + tested;
}

/** What underflow may add to a row's residual: half the smallest number for each multiplication (Higham §2.2). */
export function underflowBound(dtype: Dtype, innerLength: number, terms: number, cols: number): number {
  return DTYPES[dtype].smallest * (innerLength + 2) * Math.max(1, terms) * Math.max(1, cols);
}
