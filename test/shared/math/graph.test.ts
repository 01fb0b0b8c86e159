import { deepEqual, equal, notEqual, throws } from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  build,
  inputsOf,
  type Node,
  rebuild,
  rewrite,
  topologicalOrder,
} from '../../../shared/math/graph.ts';
import { shape } from '../../../shared/math/shape.ts';

const a = build.input('A', 'operand', shape(3, 2));
const w = build.input('W', 'operand', shape(2, 2));

describe('build', () => {
  test('what is built twice is the same node', () => {
    equal(build.matmul(a, w), build.matmul(a, build.input('W', 'operand', shape(2, 2))));
    equal(build.constant(0.1), build.constant(0.1));
    equal(build.kron(a, w), build.kron(a, w, false));
  });

  test('what differs in one thing is another node', () => {
    notEqual(w, build.input('W', 'operand', shape(2, 3)));
    notEqual(w, build.input('W', 'direction', shape(2, 2)));
    notEqual(build.matmul(w, w), build.add(w, w));
    notEqual(build.constant(0), build.constant(-0));
    notEqual(build.kron(a, w), build.kron(a, w, true));
    notEqual(build.slice(a, { rows: [0, 1], cols: [0, 2] }), build.slice(a, { rows: [0, 1], cols: [0, 1] }));
  });

  test('names cannot be mistaken for structure', () => {
    const sneaky = build.input('W","role":"operand', 'operand', shape(2, 2));
    notEqual(sneaky, w);
    equal(sneaky.params.name, 'W","role":"operand');
  });

  test('shapes follow from the inputs', () => {
    deepEqual(build.matmul(a, w).shape, shape(3, 2));
    deepEqual(build.transpose(a).shape, shape(2, 3));
    deepEqual(build.inner(a, a).shape, shape(1, 1));
    deepEqual(build.kron(a, build.transpose(a)).shape, shape(6, 6));
    deepEqual(build.vec(a).shape, shape(6, 1));
    deepEqual(build.slice(a, { rows: [1, 3], cols: [2, 2] }).shape, shape(2, 0));
    deepEqual(
      build.matmul(build.input('E', 'operand', shape(2, 0)), build.input('F', 'operand', shape(0, 5))).shape,
      shape(2, 5),
    );
  });

  test('shapes that do not fit are a bug', () => {
    const bugs: readonly (() => Node)[] = [
      () => build.matmul(a, a),
      () => build.add(a, w),
      () => build.scale(a, w),
      () => build.inner(a, w),
      () => build.slice(a, { rows: [0, 4], cols: [0, 2] }),
      () => build.slice(a, { rows: [2, 1], cols: [0, 2] }),
      () => build.constant(Number.POSITIVE_INFINITY),
    ];
    for (const bug of bugs) throws(bug, { name: 'AssertionError' });
  });

  test('a side that cannot be counted is refused', () => {
    const wide = build.input('A', 'operand', shape(1, 2 ** 30));
    throws(() => build.kron(wide, wide), {
      code: 'job-too-large',
      context: { limit: 2 ** 53 - 1, requested: String(2 ** 60) },
    });
  });

  test('nodes are immutable', () => {
    throws(() => Object.assign(a, { shape: shape(9, 9) }), TypeError);
  });
});

describe('topologicalOrder', () => {
  test('inputs come before users, each node once, roots included', () => {
    const product = build.matmul(a, w);
    const sum = build.add(product, product);
    deepEqual(topologicalOrder([sum]), [a, w, product, sum]);
    deepEqual(topologicalOrder([product, sum, product]), [a, w, product, sum]);
    deepEqual(topologicalOrder([]), []);
  });

  test('a graph a hundred thousand deep is walked without recursion', () => {
    let node: Node = w;
    for (let i = 0; i < 100_000; i += 1) node = build.add(node, w);
    equal(topologicalOrder([node]).length, 100_001);
  });

  test('a graph with exponentially many paths is walked once over each node', () => {
    let node: Node = w;
    for (let i = 0; i < 200; i += 1) node = build.matmul(node, node);
    equal(topologicalOrder([node]).length, 201);
  });
});

describe('rewrite', () => {
  test('replaces a node wherever it is used', () => {
    const f = build.add(build.matmul(w, w), w);
    const z = build.input('Z', 'operand', shape(2, 2));
    const places = rewrite([f], (node, inputs) => (node === w ? z : rebuild(node, inputs)));
    equal(places.get(f), build.add(build.matmul(z, z), z));
  });

  test('inputs are told in order of first use', () => {
    deepEqual(inputsOf([build.matmul(a, w), a]), [a, w]);
  });
});
