// What reverse mode promises beyond right values (derive.test.ts): symbolic zeros, and nothing built that nobody asked for.

import { equal, throws } from 'node:assert/strict';
import { describe, test } from 'node:test';
import { build, topologicalOrder } from '../../../shared/math/graph.ts';
import { printText } from '../../../shared/math/print.ts';
import { shape } from '../../../shared/math/shape.ts';
import { vjp } from '../../../shared/math/vjp.ts';

const a = build.input('A', 'operand', shape(2, 2));
const w = build.input('W', 'operand', shape(2, 2));
const g = build.input('G', 'cotangent', shape(2, 2));

describe('vjp', () => {
  test('is undefined where F does not depend on the operand', () => {
    equal(vjp(build.matmul(a, a), g, w), undefined);
  });

  test('of the operand itself is the cotangent', () => {
    equal(vjp(w, g, w), g);
  });

  test('sums over every use', () => {
    equal(printText(vjp(build.add(w, build.matmul(w, a)), g, w)!), "G + G*A'");
  });

  test('builds nothing for operands nobody asked about', () => {
    const adjoint = vjp(build.matmul(build.matmul(a, a), w), g, w)!;
    equal(printText(adjoint), "(A*A)'*G");
    equal(topologicalOrder([adjoint]).length, 5);
  });

  for (const node of [build.kron(w, a), build.vec(w), build.slice(w, { rows: [0, 1], cols: [0, 2] })]) {
    test(`does not pass ${node.primitive}, unless it holds still`, () => {
      const cotangent = build.input('G', 'cotangent', node.shape);
      throws(() => vjp(node, cotangent, w), { name: 'AssertionError' });
      const z = build.input('Z', 'operand', node.shape);
      equal(vjp(build.add(z, node), cotangent, z), cotangent);
    });
  }
});
