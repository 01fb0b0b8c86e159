// The kernel contract: C ← α·A·B + β·C on strided views of one shared memory. A kernel knows nothing of plans,
// threads or jobs. It lives in one thread, owns one scratch region, and is synchronous.

import type { Dtype } from '../../shared/math/dtype.ts';
import type { View } from '../../shared/math/view.ts';

export const KERNEL_NAMES = ['native', 'wasm', 'reference'] as const;
export type KernelName = (typeof KERNEL_NAMES)[number];

/** One product on one tile. Views are in elements of `dtype`; A is m×k, B is k×n, C is m×n. */
export interface GemmTile {
  readonly dtype: Dtype;
  readonly alpha: number;
  readonly a: View;
  readonly b: View;
  /** 0 or 1 or any number; where it is 0, C is not read, so that it may hold anything, NaN included. */
  readonly beta: number;
  /** Overlaps neither A nor B. Every element of it is written, also where k = 0. */
  readonly c: View;
}

export interface Kernel {
  readonly name: KernelName;
  /**
   * Fills one tile. Zeros are multiplied like any number, so NaN and infinities propagate as IEEE 754 says.
   * `wasm` and `reference` sum each element in the order of summation.ts, whatever the tile's position and size, so
   * that a result does not depend on how it was tiled; `native` promises the rounding bound γ_k·|A|·|B| alone.
   */
  gemm(tile: GemmTile): void;
}

/** Where a kernel may pack: its thread's own region of the shared memory, 64-byte aligned. */
export interface Scratch {
  readonly byteOffset: number;
  readonly byteLength: number;
}
