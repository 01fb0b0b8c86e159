import { deepEqual } from 'node:assert/strict';
import { describe, test } from 'node:test';
import { inferShape } from '../../../shared/math/infer.ts';
import { parseExpression } from '../../../shared/math/parse.ts';
import { type Shape, shape } from '../../../shared/math/shape.ts';

const known = new Map([
  ['A', shape(3, 2)],
  ['B', shape(4, 5)],
  ['S', shape(2, 2)],
  ['s', shape(1, 1)],
]);

describe('inferShape', () => {
  const table: readonly (readonly [text: string, result: Shape | undefined, expected: Shape | undefined])[] =
    [
      ['A*W', shape(3, 7), shape(2, 7)],
      ['A*W', undefined, undefined],
      ['A*W', shape(4, 7), undefined],
      ['A*W*B', undefined, shape(2, 4)],
      ["A*W'*B", undefined, shape(4, 2)],
      ["(A*W)'", shape(7, 3), shape(2, 7)],
      ['A + W', undefined, shape(3, 2)],
      ['W - A', undefined, shape(3, 2)],
      ["W'*S*W", shape(6, 6), shape(2, 6)],
      ["W'*S*W", undefined, undefined],
      ['2*W', shape(3, 4), shape(3, 4)],
      ['-W*2', shape(3, 4), shape(3, 4)],
      ['s*W', shape(3, 4), shape(3, 4)],
      ['W*s', shape(3, 4), shape(3, 4)],
      ['(A*W)*B + 0*(A*W)*B', undefined, shape(2, 4)],
      ['W', shape(0, 3), shape(0, 3)],
      ["W + W'", shape(3, 3), shape(3, 3)],
      ["W + W'", shape(3, 4), undefined],
      ['A + B*W', undefined, undefined],
    ];
  for (const [text, result, expected] of table) {
    const told = result === undefined ? 'nothing' : `${result.rows}×${result.cols}`;
    test(`W in ${text} with ${told} for the result`, () => {
      deepEqual(inferShape(parseExpression(text), known, 'W', result), expected);
    });
  }

  test('a second name without shape leaves the first undetermined, or not', () => {
    deepEqual(inferShape(parseExpression('A*W*Z'), known, 'W'), undefined);
    deepEqual(inferShape(parseExpression('A*W*Z + A*W*Z*0'), known, 'W', shape(3, 3)), undefined);
    deepEqual(inferShape(parseExpression('A*W*B + Z'), known, 'W'), shape(2, 4));
  });
});
