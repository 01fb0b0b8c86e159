// How far a correct product may be from the exact one. Bounds follow Higham, Accuracy and Stability of Numerical
// Algorithms (2nd ed.), §2.2, §3.1 and §3.5; none is a tuned tolerance.

import { DTYPES, type Dtype } from '../../shared/math/dtype.ts';

const CHECK_ROUNDOFF = DTYPES.float64.unitRoundoff;

/** The largest finite number: a sum that comes to less of magnitudes cannot have overflowed on its way. */
export const LARGEST = {
  float64: Number.MAX_VALUE,
  float32: 2 ** 128 - 2 ** 104,
} as const satisfies Record<Dtype, number>;

/** A step C = Σ αAB + Σ cX as far as its bounds depend on it. */
export interface StepSize {
  readonly dtype: Dtype;
  /** The longest inner dimension. */
  readonly innerLength: number;
  /** Terms of the sum. */
  readonly terms: number;
  /** Columns of C. */
  readonly cols: number;
  /** The largest |α|. */
  readonly alpha: number;
}

/** γ_n = n·u / (1 − n·u): the relative error of n successive roundings. Infinite where n·u reaches 1. */
export function gamma(count: number, unitRoundoff: number): number {
  const product = count * unitRoundoff;
  return product < 1 ? product / (1 - product) : Number.POSITIVE_INFINITY;
}

/**
 * Relative to Σ|α||A||B| + Σ|c||X|, how far an element of C may be from the exact one: γ of the longest sum plus two
 * roundings for each term, and one for α where it had to be rounded.
 */
export function roundingBound({ dtype, innerLength, terms }: StepSize): number {
  return gamma(innerLength + 2 * terms + 2, DTYPES[dtype].unitRoundoff);
}

/**
 * Relative to Σ|α||A||B|1 + Σ|c||X|1, how large a row's residual of Freivalds' test may be when C was computed
 * correctly: what its elements carry, and the test's own sums of length at most k + n, which run in float64.
 */
export function residualBound(size: StepSize): number {
  const { innerLength, terms, cols } = size;
  return roundingBound(size) + gamma(2 * (innerLength + cols) + 4 * terms + 4, CHECK_ROUNDOFF);
}

/**
 * What underflow may add to a row's residual: at most the smallest number for each multiplication of C's row, and of
 * the test's, of which those before the scaling by α are scaled with it.
 */
export function underflowBound({ dtype, innerLength, terms, cols, alpha }: StepSize): number {
  const multiplications = (innerLength + 2) * Math.max(1, terms) * Math.max(1, cols);
  return DTYPES[dtype].smallest * multiplications * Math.max(1, alpha);
}

/**
 * Whether a residual that is not within its bound is an error. It is not where the bound says nothing, nor where the
 * row overflowed in `dtype` and was entitled to.
 */
export function mustBeJudged(residual: number, bound: number, reach: number, dtype: Dtype): boolean {
  if (!Number.isFinite(bound)) return false;
  return Number.isFinite(residual) || reach < LARGEST[dtype];
}
