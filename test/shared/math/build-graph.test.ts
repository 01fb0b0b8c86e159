import { equal, throws } from 'node:assert/strict';
import { describe, test } from 'node:test';
import { buildGraph } from '../../../shared/math/build-graph.ts';
import { build } from '../../../shared/math/graph.ts';
import { parseExpression } from '../../../shared/math/parse.ts';
import { shape } from '../../../shared/math/shape.ts';

const shapes = new Map([
  ['A', shape(3, 2)],
  ['W', shape(2, 4)],
  ['s', shape(1, 1)],
  ['r', shape(1, 4)],
  ['c', shape(3, 1)],
  ['E', shape(0, 3)],
]);
const node = (name: string) => build.input(name, 'operand', shapes.get(name) ?? shape(0, 0));
const graph = (text: string) => buildGraph(parseExpression(text), shapes);

describe('buildGraph', () => {
  test('a product is the matrix product where inner dimensions agree, 1×1 factors included', () => {
    equal(graph('A*W'), build.matmul(node('A'), node('W')));
    equal(graph('s*r'), build.matmul(node('s'), node('r')));
    equal(graph('c*s'), build.matmul(node('c'), node('s')));
    equal(graph('s*s'), build.matmul(node('s'), node('s')));
    equal(graph('E*A'), build.matmul(node('E'), node('A')));
  });

  test('else a 1×1 factor scales, from either side', () => {
    equal(graph('s*A'), build.scale(node('s'), node('A')));
    equal(graph('A*s'), build.scale(node('s'), node('A')));
    equal(graph('r*s'), build.scale(node('s'), node('r')));
  });

  test('a number always scales', () => {
    equal(graph('2*r'), build.scale(build.constant(2), node('r')));
    equal(graph('c*2'), build.scale(build.constant(2), node('c')));
    equal(graph('2*3'), build.scale(build.constant(2), build.constant(3)));
  });

  test('minus is a scale by −1', () => {
    equal(graph('-A'), build.scale(build.constant(-1), node('A')));
    equal(graph('s-s'), build.add(node('s'), build.negate(node('s'))));
  });

  const mismatches = [
    [
      'W*A',
      'In "W*A" the shapes are 2×4 and 3×2: the columns of the left factor must be as many as the rows of the right one.',
    ],
    ['A + W', 'In "A + W" the shapes are 3×2 and 2×4: summands need the same shape.'],
    ['s*(A - (A*W)) * W', 'In "A - (A*W)" the shapes are 3×2 and 3×4: summands need the same shape.'],
    ["2 + (A*W)'*(c)", 'In "2 + (A*W)\'*(c)" the shapes are 1×1 and 4×1: summands need the same shape.'],
    ['A + 2', 'In "A + 2" the shapes are 3×2 and 1×1: summands need the same shape.'],
  ] as const;
  for (const [text, message] of mismatches) {
    test(`${text} does not fit, and the fault names both shapes and the place`, () => {
      throws(() => graph(text), { code: 'shape-mismatch', message });
    });
  }

  test('a name without shape is a missing operand', () => {
    throws(() => graph('A*Z'), { code: 'operand-missing', message: 'The operand Z is missing.' });
  });
});
