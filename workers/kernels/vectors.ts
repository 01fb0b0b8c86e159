// The contract of matrix-vector products, which verification needs: its test of an n×n product costs 1/n of it, so
// these run at the speed of memory. Independent of the gemm kernels, so that they can judge them.

import type { Dtype } from '../../shared/math/dtype.ts';
import type { View } from '../../shared/math/view.ts';

export interface Matvec {
  /** Of A. The vectors are float64, whatever A is. */
  readonly dtype: Dtype;
  readonly a: View;
  /** Where x begins: `a.cols` contiguous float64 elements, counted from the start of the memory in elements. */
  readonly x: number;
  /** Where y begins, likewise, `a.rows` of them. Overlaps neither A nor x; every element is written. */
  readonly y: number;
  /** Whether |A|, element by element, stands for A. */
  readonly magnitude: boolean;
}

export interface Vectors {
  /** y ← A·x or |A|·x, every product and sum in float64, in an order that follows from A's shape and strides alone. */
  matvec(tile: Matvec): void;
}
