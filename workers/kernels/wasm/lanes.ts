// What the two dtypes are called in WebAssembly, and the two kinds of arithmetic.

import type { Dtype } from '../../../shared/math/dtype.ts';

/** `strict` rounds each product and each sum; `relaxed` may fuse them, which is faster and differs between machines. */
export const WASM_VARIANTS = ['strict', 'relaxed'] as const;
export type WasmVariant = (typeof WASM_VARIANTS)[number];

export interface Lanes {
  /** Prefixes of the scalar and vector instructions. */
  readonly scalar: 'f64' | 'f32';
  readonly vector: 'f64x2' | 'f32x4';
  readonly splat: 'v128.load64_splat' | 'v128.load32_splat';
  readonly bytes: number;
  readonly count: number;
}

export const LANES = {
  float64: { scalar: 'f64', vector: 'f64x2', splat: 'v128.load64_splat', bytes: 8, count: 2 },
  float32: { scalar: 'f32', vector: 'f32x4', splat: 'v128.load32_splat', bytes: 4, count: 4 },
} as const satisfies Record<Dtype, Lanes>;
