import { assert } from '../../assert.ts';
import { bilinear } from '../rules.ts';
import { elementCount, shape } from '../shape.ts';

/** C = A·B. Bilinear, so both derivatives are products again: Ā = G·Bᵀ, B̄ = Aᵀ·G. */
export const matmul = bilinear<'matmul'>({
  shape: ([a, b]) => {
    assert(a.cols === b.rows, 'inner dimensions of a product agree');
    return shape(a.rows, b.cols);
  },
  flops: ([a], result) => 2n * BigInt(a.cols) * elementCount(result),
  region: ({ inputs: [a, b] }, { rows, cols }) => [
    { rows, cols: [0, a.shape.cols] },
    { rows: [0, b.shape.rows], cols },
  ],
  products: ([a]) => ({ products: a.cols, depth: a.cols }),
  apply: (build, a, b) => build.matmul(a, b),
  adjointLeft: (build, g, _a, b) => build.matmul(g, build.transpose(b)),
  adjointRight: (build, g, a, _b) => build.matmul(build.transpose(a), g),
});
