// The contract of matrix-vector products, which verification needs: its test of an n×n product costs 1/n of it, so
// these run at the speed of memory. Independent of the gemm kernels, so that they can judge them.

import type { Dtype } from '../../shared/math/dtype.ts';
import type { View } from '../../shared/math/view.ts';

/** Vectors are contiguous float64 elements, whatever A is; where they begin is counted from the start of the memory, in elements. */
export interface Matvec {
  /** Of A. */
  readonly dtype: Dtype;
  readonly a: View;
  /** `a.cols` elements each. */
  readonly x: number;
  readonly w: number;
  /** `a.rows` elements each, every one of them written. They overlap neither A, x, w nor each other. */
  readonly y: number;
  readonly z: number;
}

export interface Vectors {
  /**
   * y ← A·x and z ← |A|·w in one pass over A, |A| being its elements' magnitudes. Every product and sum is made in
   * float64, in an order that follows from A's shape and strides alone.
   */
  matvec(tile: Matvec): void;

  /**
   * Writes FINGERPRINT_BYTES, of which a single changed bit always changes some, and so do two words in each other's
   * place. Not for secrets: an exact sum, and the sum of its steps, of each half of 16 bytes, modulo 2⁶⁴.
   */
  fingerprint(range: Fingerprint): void;
}

/** Bytes from the start of the memory; a whole number of 16. */
export interface Fingerprint {
  readonly byteOffset: number;
  readonly byteLength: number;
  /** Where it goes: outside of the range, 8-byte aligned. */
  readonly to: number;
}

export const FINGERPRINT_BYTES = 32;
