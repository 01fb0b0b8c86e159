// Each differentiable primitive by itself, with respect to each of its inputs, on integers: the tangent against
// polynomial differences, the adjoint against the tangent of every unit matrix.

import { deepEqual, equal } from 'node:assert/strict';
import { describe, test } from 'node:test';
import { assert } from '../../../../shared/assert.ts';
import { build, type InputNode, inputsOf, type Node } from '../../../../shared/math/graph.ts';
import { jvp } from '../../../../shared/math/jvp.ts';
import { DIFFERENTIABLE } from '../../../../shared/math/primitives/index.ts';
import { shape } from '../../../../shared/math/shape.ts';
import { vjp } from '../../../../shared/math/vjp.ts';
import { evaluate, tabulate } from '../../../support/evaluate.ts';
import { innerProduct, integerInputs, integers, linearCoefficient, plainZeros } from '../expressions.ts';

const a = build.input('A', 'operand', shape(3, 2));
const b = build.input('B', 'operand', shape(2, 4));
const c = build.input('C', 'operand', shape(3, 2));
const s = build.input('s', 'operand', shape(1, 1));
const q = build.input('Q', 'operand', shape(3, 3));

/** Name of the primitive → graphs of it alone; linear in each input or, where one is used twice, quadratic. */
const GRAPHS: readonly Node[] = [
  build.matmul(a, b),
  build.matmul(q, q),
  build.add(a, c),
  build.add(a, a),
  build.scale(s, a),
  build.scale(s, s),
  build.transpose(a),
  build.inner(a, c),
  build.inner(a, a),
];

function assertRules(f: Node, wrt: InputNode): void {
  const { name } = wrt.params;
  const direction = build.input('H', 'direction', wrt.shape);
  const cotangent = build.input('G', 'cotangent', f.shape);
  const differential = jvp(f, new Map([[wrt, direction]]));
  const adjoint = vjp(f, cotangent, wrt);
  assert(differential !== undefined && adjoint !== undefined, 'the graph depends on its inputs');
  const inputs = integerInputs([f]);
  const g = integers(f.shape, 5);
  const h = integers(wrt.shape, 4);
  deepEqual(
    plainZeros(evaluate(differential, { ...inputs, H: h })),
    plainZeros(linearCoefficient(f, name, inputs, h, 2)),
  );
  const { rows, cols } = wrt.shape;
  const expected = tabulate(rows, cols, (i, j) => {
    const unit = tabulate(rows, cols, (k, l) => Number(k === i && l === j));
    return innerProduct(linearCoefficient(f, name, inputs, unit, 2), g);
  });
  deepEqual(plainZeros(evaluate(adjoint, { ...inputs, G: g })), plainZeros(expected));
}

describe('primitives', () => {
  for (const f of GRAPHS) {
    for (const wrt of inputsOf([f])) {
      const times = f.inputs.filter(input => input === wrt).length;
      test(`${f.primitive} has right rules for ${wrt.params.name}${times > 1 ? ', used twice' : ''}`, () => {
        assertRules(f, wrt);
      });
    }
  }

  test('every differentiable primitive with inputs is tested here', () => {
    const leaves = ['input', 'constant', 'identity'];
    const tested = new Set<string>(GRAPHS.map(f => f.primitive));
    deepEqual(
      Object.keys(DIFFERENTIABLE).filter(name => !leaves.includes(name) && !tested.has(name)),
      [],
    );
  });

  test('leaves stand still', () => {
    for (const leaf of [build.constant(2), build.identity(2)]) {
      equal(jvp(leaf, new Map([[a, a]])), undefined);
      equal(vjp(leaf, leaf, a), undefined);
    }
  });
});
