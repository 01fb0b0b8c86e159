import { boundProduct } from '../bound.ts';
import type { Primitive } from '../rules.ts';
import { elementCount, safeShape } from '../shape.ts';

/**
 * Left ⊗ Right, where vec(R·H·Lᵀ) = (L ⊗ R)·vec(H). With `swap`, its columns are those of vec(H) ↦ vec(R·Hᵀ·Lᵀ):
 * for H p×n (p columns of Left, n of Right) column b·p + a is Left's column a ⊗ Right's column b.
 */
export const kron: Primitive<'kron'> = {
  shape: ([left, right]) => safeShape(left.rows * right.rows, left.cols * right.cols),
  // Each element is written once, and that is what it costs.
  flops: (_inputs, result) => elementCount(result),
  isView: false,
  region: () => undefined,
  bound: ([left, right], node, arithmetic) =>
    boundProduct(left, right, { products: 1, depth: 1 }, node.shape, arithmetic),
};
