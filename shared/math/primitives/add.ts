import { assert } from '../../assert.ts';
import { boundSum } from '../bound.ts';
import { addTangents, type Differentiable } from '../rules.ts';
import { elementCount, sameShape } from '../shape.ts';

/** C = A + B: tangents add, the cotangent goes to both. */
export const add: Differentiable<'add'> = {
  shape: ([a, b]) => {
    assert(sameShape(a, b), 'summands have one shape');
    return a;
  },
  flops: (_inputs, result) => elementCount(result),
  isView: false,
  region: (_node, region) => [region, region],
  bound: ([a, b], _node, arithmetic) => boundSum(a, b, arithmetic),
  jvp: (build, _node, [da, db]) => addTangents(build, da, db),
  vjp: (_build, _node, g) => [() => g, () => g],
};
