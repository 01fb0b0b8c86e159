// Grammar, limits and faults of expressions. The meaning of a text is told by the fully parenthesised form of its syntax.

import { deepEqual, equal, throws } from 'node:assert/strict';
import { describe, test } from 'node:test';
import { FrechetError } from '../../../shared/errors.ts';
import { parseExpression } from '../../../shared/math/parse.ts';
import { parenthesize } from '../../support/parenthesize.ts';

function faultOf(text: string): FrechetError {
  try {
    parseExpression(text);
  } catch (error) {
    if (error instanceof FrechetError) return error;
    throw error;
  }
  throw new Error(`${JSON.stringify(text)} was accepted`);
}

describe('parseExpression', () => {
  const meanings = [
    ['A*W', '(A*W)'],
    [' A\t*\r\n W ', '(A*W)'],
    ['A+B*C', '(A+(B*C))'],
    ['A*B+C', '((A*B)+C)'],
    ['A-B-C', '((A-B)-C)'],
    ['A-B+C', '((A-B)+C)'],
    ['A*B*C', '((A*B)*C)'],
    ['A*(B+C)', '(A*(B+C))'],
    ["A*B'", "(A*(B'))"],
    ["(A*B)'", "((A*B)')"],
    ["A''", "((A')')"],
    ['-A*B', '(-(A*B))'],
    ['-A+B', '((-A)+B)'],
    ["-A'", "(-(A'))"],
    ['A*-B', '(A*(-B))'],
    ['A*-B*C', '(A*(-(B*C)))'],
    ['A*-B+C', '((A*(-B))+C)'],
    ['A - -B', '(A-(-B))'],
    ['--A', '(-(-A))'],
    ['((A))', 'A'],
    ['2*A', '(2*A)'],
    ['.5*A', '(0.5*A)'],
    ['2.*A', '(2*A)'],
    ['1e-3', '0.001'],
    ['1.5E+2', '150'],
    ['1e-400', '0'],
    ['_a1*A_', '(_a1*A_)'],
    ['__proto__*constructor', '(__proto__*constructor)'],
  ] as const;
  for (const [text, meaning] of meanings) {
    test(`${JSON.stringify(text)} means ${meaning}`, () =>
      equal(parenthesize(parseExpression(text)), meaning));
  }

  test('names are told once each, in order of first appearance', () => {
    deepEqual(parseExpression("W'*A*W + toString*A").names, ['W', 'A', 'toString']);
  });

  const faults: readonly (readonly [text: string, column: number])[] = [
    ['', 1],
    ['   ', 4],
    ['A*', 3],
    ['*A', 1],
    ['A**B', 3],
    ['+A', 1],
    ['A B', 3],
    ['2W', 2],
    ['2 3', 3],
    ['1.2.3', 4],
    ['1e', 2],
    ['(A', 3],
    ['A)', 2],
    ['()', 2],
    ['(A*(B)', 7],
    ["'A", 1],
    ["A'B", 3],
    ['A(B)', 2],
    ['A/B', 2],
    ['A^2', 2],
    ['A,B', 2],
    ['A;process.exit()', 2],
    ['A\u0000', 2],
    ['A\u00a0*B', 2],
    ['Ä', 1],
    ['A’', 2],
    ['A*\ud83d\ude00', 3],
    ['A*\ud83d', 3],
    ['1e999', 1],
    ['A + 1e309*B', 5],
    ['9'.repeat(400), 1],
    ['-', 2],
    ['A-', 3],
    ['NaN(', 4],
  ];
  for (const [text, column] of faults) {
    test(`${JSON.stringify(text.slice(0, 20))} is a syntax error in column ${column}`, () => {
      const fault = faultOf(text);
      deepEqual([fault.code, fault.context.column], ['expression-syntax', column]);
    });
  }

  test('a fault says what was expected', () => {
    equal(faultOf('A*').message, "Expected a name, a number, '-' or '(', but the expression ends.");
    equal(faultOf('A B').message, "Expected '+', '-', '*', a transpose ' or the end, but found 'B'.");
    equal(faultOf('(A B').message, "Expected '+', '-', '*', a transpose ' or ')', but found 'B'.");
    equal(faultOf('(A').message, "Expected ')' for the '(' in column 1, but the expression ends.");
  });

  const limits: readonly (readonly [what: string, fits: string, exceeds: string, limit: number])[] = [
    ['characters', `A${' '.repeat(4095)}`, `A${' '.repeat(4096)}`, 4096],
    ['levels', `${'('.repeat(64)}A${')'.repeat(64)}`, `${'('.repeat(65)}A${')'.repeat(65)}`, 64],
    ['nodes', `A${"'".repeat(999)}`, `A${"'".repeat(1000)}`, 1000],
    ['minus signs', `${'-'.repeat(999)}A`, `${'-'.repeat(1000)}A`, 1000],
    ['summands', `A${'+A'.repeat(499)}`, `A${'+A'.repeat(500)}`, 1000],
  ];
  for (const [what, fits, exceeds, limit] of limits) {
    test(`${what} beyond ${limit} are refused, up to it they are not`, () => {
      parseExpression(fits);
      throws(() => parseExpression(exceeds), {
        code: 'expression-too-large',
        context: { limit, requested: limit + 1 },
      });
    });
  }

  test('hostile texts are refused in no time', () => {
    const hostile = [
      '('.repeat(4096),
      `${'A('.repeat(2000)}`,
      '1'.repeat(4096),
      `${'.'.repeat(4096)}`,
      "'".repeat(4096),
    ];
    for (const text of hostile) faultOf(text);
    faultOf('A*'.repeat(50_000_000));
  });
});
