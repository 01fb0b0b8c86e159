import { assert } from '../../assert.ts';
import { bilinear } from '../rules.ts';
import { elementCount, isScalar } from '../shape.ts';

/** C = s·A with s 1×1: s̄ = ⟨A, G⟩, Ā = s·G. */
export const scale = bilinear<'scale'>({
  shape: ([s, a]) => {
    assert(isScalar(s), 'a matrix is scaled by a 1×1');
    return a;
  },
  flops: (_inputs, result) => elementCount(result),
  region: (_node, region) => [{ rows: [0, 1], cols: [0, 1] }, region],
  products: () => ({ products: 1, depth: 1 }),
  apply: (build, s, a) => build.scale(s, a),
  adjointLeft: (build, g, _s, a) => build.inner(a, g),
  adjointRight: (build, g, s, _a) => build.scale(s, g),
});
