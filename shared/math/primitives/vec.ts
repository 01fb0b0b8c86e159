import type { Primitive } from '../rules.ts';
import { safeShape } from '../shape.ts';

/** The columns of A stacked into one. */
export const vec: Primitive<'vec'> = {
  shape: ([a]) => safeShape(a.rows * a.cols, 1),
  flops: () => 0n,
  isView: false,
  region: () => undefined,
  bound: ([a]) => a,
};
