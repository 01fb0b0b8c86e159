// One measured product.

import type { Dtype } from '../../shared/math/dtype.ts';

export interface Shape {
  readonly m: number;
  readonly k: number;
  readonly n: number;
}

export interface Figure extends Shape {
  readonly bench: 'kernels';
  readonly kernel: string;
  readonly dtype: Dtype;
  readonly threads: number;
  readonly gflops: number;
}

export function square(size: number): Shape {
  return { m: size, k: size, n: size };
}
