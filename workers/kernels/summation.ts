// The order of summation that the reference and the strict WASM kernel share, bit for bit. It is a promise: results
// of reproducible jobs depend on it, so a change of PANEL_LENGTH changes published bytes.

import type { Dtype } from '../../shared/math/dtype.ts';

/**
 * Elements of the inner dimension that are summed before the sum is added to C (the literature's kc). A constant
 * of the dtype: it depends neither on a tile's place and size, nor on threads or the machine's caches.
 */
export const PANEL_LENGTH = { float64: 256, float32: 256 } as const satisfies Record<Dtype, number>;

export interface Range {
  readonly start: number;
  readonly length: number;
}

/** Cuts [0, total) into ranges of `size`, the last one shorter: no caller sees a ragged edge. */
export function* ranges(total: number, size: number): Generator<Range> {
  for (let start = 0; start < total; start += size) yield { start, length: Math.min(size, total - start) };
}

/** The panels of the inner dimension, ascending. An empty sum is one empty panel, so that C is written all the same. */
export function* panels(k: number, dtype: Dtype): Generator<Range> {
  if (k === 0) yield { start: 0, length: 0 };
  yield* ranges(k, PANEL_LENGTH[dtype]);
}
