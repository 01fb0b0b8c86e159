import { assert } from '../../assert.ts';
import { bilinear } from '../rules.ts';
import { elementCount, sameShape, shape } from '../shape.ts';

/**
 * ⟨A, B⟩ = tr(AᵀB) = Σ aᵢⱼbᵢⱼ, 1×1: Ā = g·B, B̄ = g·A. Whoever computes it sums each row and then the rows' sums
 * (or has fewer roundings in a row than that), so that the error grows with rows + cols and not with their product.
 */
export const inner = bilinear<'inner'>({
  shape: ([a, b]) => {
    assert(sameShape(a, b), 'an inner product has factors of one shape');
    return shape(1, 1);
  },
  flops: ([a]) => 2n * elementCount(a),
  region: () => undefined,
  products: ([a]) => ({ products: Number(elementCount(a)), depth: a.rows + a.cols }),
  apply: (build, a, b) => build.inner(a, b),
  adjointLeft: (build, g, _a, b) => build.scale(g, b),
  adjointRight: (build, g, a, _b) => build.scale(g, a),
});
