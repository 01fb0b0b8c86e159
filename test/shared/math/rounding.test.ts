// The bounds hold: float32 arithmetic stays within them of the exact value. And they are not idle: a result that is
// off by a few times the bound is beyond them.

import { equal, ok } from 'node:assert/strict';
import { describe, test } from 'node:test';
import { boundProduct, boundSum, roundingConstant } from '../../../shared/math/bound.ts';
import { DTYPES } from '../../../shared/math/dtype.ts';
import { boundOf, roundingBounds } from '../../../shared/math/rounding.ts';
import { shape } from '../../../shared/math/shape.ts';
import { elementAt, evaluate, type Matrix, tabulate } from '../../support/evaluate.ts';
import { graphOf } from './expressions.ts';

const { float32 } = DTYPES;

function norm(a: Matrix): number {
  return Math.hypot(...a.data);
}

/** Float32 numbers in (−1, 1) that look random, times 2^exponent. */
function floats(rows: number, cols: number, seed: number, exponent = 0): Matrix {
  return tabulate(rows, cols, (i, j) =>
    Math.fround(Math.sin(seed + i * 12.9898 + j * 78.233) * 2 ** exponent),
  );
}

describe('roundingConstant', () => {
  test('γ_k = ku/(1 − ku), infinite where it says nothing', () => {
    equal(roundingConstant(0, 2 ** -24), 0);
    equal(roundingConstant(4, 2 ** -4), 1 / 3);
    equal(roundingConstant(2 ** 24, 2 ** -24), Number.POSITIVE_INFINITY);
  });
});

describe('bounds of one operation', () => {
  test('a product inherits errors crosswise and adds γ_k', () => {
    const [a, b] = [
      { norm: 2, error: 0.5 },
      { norm: 3, error: 0.25 },
    ];
    const { norm: bound, error } = boundProduct(a, b, { products: 4, depth: 4 }, shape(1, 1), {
      ...float32,
      unitRoundoff: 2 ** -4,
      smallest: 0,
    });
    equal(bound, 6);
    equal(error, 0.5 * 3 + 2 * 0.25 + 0.5 * 0.25 + (1 / 3) * 2.5 * 3.25);
  });

  test('a product with an exact zero is exact, however long', () => {
    const zero = { norm: 0, error: 0 };
    equal(
      boundProduct(zero, { norm: 3, error: 0 }, { products: 1, depth: 2 ** 30 }, shape(1, 1), {
        ...float32,
        smallest: 0,
      }).error,
      0,
    );
  });

  test('a sum rounds once', () => {
    equal(
      boundSum({ norm: 1, error: 0.5 }, { norm: 2, error: 0.25 }, { ...float32, unitRoundoff: 0.5 }).error,
      0.75 + 0.5 * 3.75,
    );
  });
});

describe('roundingBounds', () => {
  const shapes = new Map([
    ['A', shape(9, 40)],
    ['B', shape(40, 9)],
    ['C', shape(9, 9)],
  ]);
  for (const text of ['A*B', 'A*B*C', "0.1*A*B - (C*C)'*C", 'C + C*(C + 1e-3*C)', "(A*B - B'*A')*C"]) {
    for (const exponent of [0, -60, -70, 40]) {
      test(`${text} in float32, inputs times 2^${exponent}, is within its bound`, () => {
        const f = graphOf(text, shapes);
        const inputs = {
          A: floats(9, 40, 1),
          B: floats(40, 9, 2, exponent),
          C: floats(9, 9, 3, exponent / 2),
        };
        const norms = new Map(Object.entries(inputs).map(([name, value]) => [name, norm(value)]));
        const { norm: normBound, error } = boundOf(roundingBounds([f], norms, 'float32'), f);
        const exact = evaluate(f, inputs); // in float64, whose own error is 2^-29 of the bound
        const computed = evaluate(f, inputs, Math.fround);
        const distance = norm(tabulate(9, 9, (i, j) => elementAt(computed, i, j) - elementAt(exact, i, j)));
        ok(distance <= error, `${distance} <= ${error}`);
        ok(norm(exact) <= normBound * (1 + 1e-9));
        ok(error < 1e-3 * normBound + 1e-38, 'the bound says something');
      });
    }
  }

  test('a number is off by what it loses in the dtype', () => {
    const f = graphOf('0.1');
    const { norm: normBound, error } = boundOf(roundingBounds([f], new Map(), 'float32'), f);
    equal(normBound, 0.1);
    ok(Math.abs(Math.fround(0.1) - 0.1) <= error && error < 1e-8);
  });

  test('an input without norm is a bug', () => {
    const f = graphOf('A*B', shapes);
    let message = '';
    try {
      roundingBounds([f], new Map([['A', 1]]), 'float64');
    } catch (error) {
      message = String(error);
    }
    equal(message, 'AssertionError: the norm of input B is given');
  });
});
