// What forward mode promises beyond right values (derive.test.ts): symbolic zeros, any number of tangents.

import { equal, throws } from 'node:assert/strict';
import { describe, test } from 'node:test';
import { build, type Node } from '../../../shared/math/graph.ts';
import { jvp } from '../../../shared/math/jvp.ts';
import { printText } from '../../../shared/math/print.ts';
import { shape } from '../../../shared/math/shape.ts';

const a = build.input('A', 'operand', shape(2, 2));
const w = build.input('W', 'operand', shape(2, 2));
const h = build.input('dW', 'direction', shape(2, 2));

describe('jvp', () => {
  test('is undefined where nothing depends on what moves', () => {
    equal(jvp(build.matmul(a, a), new Map([[w, h]])), undefined);
  });

  test('follows several tangents at once', () => {
    const da = build.input('dA', 'direction', shape(2, 2));
    const differential = jvp(
      build.matmul(a, w),
      new Map([
        [a, da],
        [w, h],
      ]),
    );
    equal(printText(differential!), 'dA*W + A*dW');
  });

  test('can start at a node that is no input', () => {
    const product = build.matmul(a, w);
    equal(jvp(build.add(product, w), new Map([[product, h]])), h);
    const both = new Map<Node, Node>([
      [product, h],
      [w, w],
    ]);
    equal(jvp(product, both), h);
  });

  test('zeros are left away, not added', () => {
    const f = build.add(build.matmul(a, a), build.matmul(a, w));
    equal(printText(jvp(f, new Map([[w, h]]))!), 'A*dW');
  });

  for (const node of [build.kron(w, a), build.vec(w), build.slice(w, { rows: [0, 1], cols: [0, 2] })]) {
    test(`does not pass ${node.primitive}, unless it holds still`, () => {
      throws(() => jvp(node, new Map([[w, h]])), { name: 'AssertionError' });
      const z = build.input('Z', 'operand', node.shape);
      const dz = build.input('dZ', 'direction', node.shape);
      equal(jvp(build.add(z, node), new Map([[z, dz]])), dz);
    });
  }
});
