// Block sizes of the WASM kernel. Only kc (PANEL_LENGTH) touches the result; the others may follow a measurement.

import { assert } from '../../../shared/assert.ts';
import { DTYPES, type Dtype } from '../../../shared/math/dtype.ts';
import { PANEL_LENGTH } from '../summation.ts';

export interface Blocking {
  /** The micro-tile: mr rows by nr columns of C, held in registers while k is walked. */
  readonly mr: number;
  readonly nr: number;
  /** Rows of A packed at a time (loop 3): Ã is mc×kc. */
  readonly mc: number;
  /** Inner elements packed at a time (loop 4). */
  readonly kc: number;
  /** Columns of B packed at a time (loop 5): B̃ is kc×nc. */
  readonly nc: number;
}

/*
 * V8 has 16 vector registers. mr·nr/lanes = 8 accumulators cover the latency of two additions a cycle (8 = 2 × 4);
 * 4 vectors of B and 2 of A, or 2 and 4, fill 14 registers. One shape larger spills and loses half.
 *
 * Machines from 2016 on have L1 ≥ 32 KiB, L2 ≥ 256 KiB and 1 to 2 MiB of L3 a core.
 *   L1  one panel of B, kc×nr, stays while the panels of A, kc×mr, stream past it: 16 + 4 KiB (float64), 8 + 4 KiB.
 *   L2  Ã, mc×kc, is read once for each panel of B: 128 KiB, half of the smallest L2, beside the panel of B.
 *   L3  B̃, kc×nc, is read once for each Ã: 1 MiB, so that each core's own fits its share, and mostly L2.
 */
export const BLOCKING = {
  float64: { mr: 2, nr: 8, mc: 64, kc: PANEL_LENGTH.float64, nc: 512 },
  float32: { mr: 4, nr: 8, mc: 128, kc: PANEL_LENGTH.float32, nc: 1024 },
} as const satisfies Record<Dtype, Blocking>;

/**
 * Columns of B at a time where C is one micro-tile high. Then B̃ is used once, so it should be short-lived: this many
 * columns by kc fit L2, and their rows of B are met again before their pages are forgotten.
 */
export const FLAT_NC = 64;

/**
 * Sums at a time where C has one row and nothing is packed. Along k, so few lines that their pages are remembered from
 * panel to panel; along rows, so many that a row of B is read in long pieces, and the sums stay in L1.
 */
export const THIN_NC = { along: FLAT_NC, across: 1024 } as const;

/** Where the parts of a scratch region lie, in bytes from its start. All are multiples of 64. */
export interface ScratchLayout {
  readonly packedA: number;
  readonly packedB: number;
  /** One micro-tile, for the ragged edges. */
  readonly sums: number;
  readonly bytes: number;
}

export function scratchLayout(dtype: Dtype): ScratchLayout {
  const { mr, nr, mc, kc, nc } = BLOCKING[dtype];
  const { bytes } = DTYPES[dtype];
  assert(mc % mr === 0 && nc % nr === 0, 'packed blocks hold whole panels');
  const packedB = mc * kc * bytes;
  const sums = packedB + kc * nc * bytes;
  return { packedA: 0, packedB, sums, bytes: sums + mr * nr * bytes };
}

export const WASM_SCRATCH_BYTES = Math.max(scratchLayout('float64').bytes, scratchLayout('float32').bytes);
