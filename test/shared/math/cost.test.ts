import { deepEqual, equal } from 'node:assert/strict';
import { describe, test } from 'node:test';
import { cost, dependsOnStack } from '../../../shared/math/cost.ts';
import { derive } from '../../../shared/math/derive.ts';
import { build, type Node } from '../../../shared/math/graph.ts';
import { shape } from '../../../shared/math/shape.ts';
import { sliceGraph } from '../../../shared/math/slice.ts';
import { graphOf } from './expressions.ts';

const shapes = new Map([
  ['A', shape(7, 3)],
  ['W', shape(3, 5)],
  ['B', shape(5, 2)],
  ['s', shape(1, 1)],
]);
const graph = (text: string) => graphOf(text, shapes);
const elements = (root: Node, members = 1) => cost([root], members, 'float64').peakBytes / 8n;

describe('cost', () => {
  const table: readonly (readonly [text: string, flops: number, elements: number])[] = [
    ['A*W', 2 * 7 * 3 * 5, 21 + 15 + 35],
    ["W'*A'", 2 * 5 * 3 * 7, 15 + 21 + 35],
    ['W + W', 15, 15 + 15],
    ['W', 0, 15],
    ["W'", 0, 15],
    ['s*W', 15, 1 + 15 + 15],
    ['2*W', 15, 1 + 15 + 15],
    ['A*W*B', 2 * 7 * 3 * 5 + 2 * 7 * 5 * 2, 21 + 15 + 10 + 35 + 14],
  ];
  for (const [text, flops, count] of table) {
    test(`${text} costs ${flops} flops and ${count} elements`, () => {
      equal(cost([graph(text)], 1, 'float64').flops, BigInt(flops));
      equal(elements(graph(text)), BigInt(count));
    });
  }

  test('what several roots share is counted once', () => {
    const [product, sum] = [graph('A*W'), graph('A*W + A*W')];
    equal(cost([product, sum], 1, 'float64').flops, 210n + 35n);
  });

  test('what depends on the stack is counted once for each member, the rest once', () => {
    const f = derive(graph("A*A'*A*W"), 'jvp', 'W', 1000);
    // A·(Aᵀ·A) once, times each of the 1000 directions.
    equal(cost([f], 1000, 'float64').flops, 2n * 3n * 7n * 3n + 2n * 7n * 3n * 3n + 1000n * 210n);
    deepEqual(
      [...dependsOnStack([f])].map(node => node.primitive),
      ['input', 'matmul'],
    );
  });

  test('inner products and Kronecker products', () => {
    const a = graph('A');
    equal(cost([build.inner(a, a)], 1, 'float64').flops, 42n);
    const jacobian = derive(graph('A*W'), 'jacobian', 'W');
    equal(cost([jacobian], 1, 'float64').flops, 35n * 15n);
    // The identity that repeats A is never stored.
    equal(elements(jacobian), 21n + 35n * 15n);
  });

  test('a block of a Jacobian costs what it writes, a slice of an input what it reads', () => {
    const jacobian = derive(graph('A*W'), 'jacobian', 'W');
    const block = sliceGraph(jacobian, [0, 35], [3, 5]);
    equal(cost([block], 1, 'float64').flops, 70n);
    equal(elements(block), 21n + 70n);
    equal(elements(sliceGraph(graph('A*W'), [1, 3], [0, 5])), 6n + 15n + 10n);
    equal(elements(sliceGraph(derive(graph('W'), 'jacobian', 'W'), [0, 15], [3, 5])), 30n);
  });

  test('bytes follow the dtype; numbers are exact at any size', () => {
    const big = new Map([
      ['A', shape(2 ** 31 - 1, 2 ** 31 - 1)],
      ['W', shape(2 ** 31 - 1, 2 ** 31 - 1)],
    ]);
    const f = graphOf('A*W', big);
    const n = 2n ** 31n - 1n;
    equal(cost([f], 1, 'float32').flops, 2n * n ** 3n);
    equal(cost([f], 1, 'float32').peakBytes, 4n * 3n * n ** 2n);
  });
});
