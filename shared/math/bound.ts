// The arithmetic of rounding bounds: what one operation adds to the error of its inputs. Walking a graph with it
// is rounding.ts. Norms are Frobenius norms; see Higham, Accuracy and Stability of Numerical Algorithms, §3.

import type { DtypeEntry } from './dtype.ts';
import { elementCount, type Shape } from './shape.ts';

export interface Bound {
  /** At least the Frobenius norm of the exact value. */
  readonly norm: number;
  /** At least the Frobenius norm of computed minus exact. */
  readonly error: number;
}

/** How one element of a product comes about. */
export interface Products {
  /** How many products are summed in one element. */
  readonly products: number;
  /** The longest chain of operations that one product runs through: the k of γ_k. */
  readonly depth: number;
}

/** γ_k = k·u / (1 − k·u), what k roundings in a row can do (Higham, §3.1); infinite where k·u ≥ 1. */
export function roundingConstant(k: number, unitRoundoff: number): number {
  const ku = k * unitRoundoff;
  return ku < 1 ? ku / (1 - ku) : Number.POSITIVE_INFINITY;
}

/**
 * ‖fl(a∘b) − a∘b‖ ≤ e_a‖b‖ + ‖a‖e_b + e_a·e_b + γ_k(‖a‖ + e_a)(‖b‖ + e_b), and for each product at most half the
 * smallest subnormal, which γ does not cover.
 */
export function boundProduct(
  a: Bound,
  b: Bound,
  { products, depth }: Products,
  result: Shape,
  arithmetic: DtypeEntry,
): Bound {
  const inherited = a.error * b.norm + a.norm * b.error + a.error * b.error;
  const computed = (a.norm + a.error) * (b.norm + b.error);
  const rounded = computed === 0 ? 0 : roundingConstant(depth, arithmetic.unitRoundoff) * computed;
  const underflow = products * arithmetic.smallest * Math.sqrt(Number(elementCount(result)));
  return { norm: a.norm * b.norm, error: inherited + rounded + underflow };
}

/** ‖fl(a + b) − (a + b)‖ ≤ e_a + e_b + u(‖a‖ + e_a + ‖b‖ + e_b). A sum cannot underflow. */
export function boundSum(a: Bound, b: Bound, arithmetic: DtypeEntry): Bound {
  const inherited = a.error + b.error;
  const norm = a.norm + b.norm;
  return { norm, error: inherited + arithmetic.unitRoundoff * (norm + inherited) };
}
