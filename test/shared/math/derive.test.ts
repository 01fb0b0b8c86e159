// Derivatives against oracles that know no rule: polynomial differences over the integers, the adjoint identity, and
// the definition of the Jacobian. Everything is exact.

import { deepEqual, equal, throws } from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  cotangentOf,
  derive,
  describeDerivative,
  directionOf,
  isLinearIn,
} from '../../../shared/math/derive.ts';
import { inputsOf, type Node } from '../../../shared/math/graph.ts';
import { jvp } from '../../../shared/math/jvp.ts';
import { adjointOf, differentialOf, jacobianOf, linearMap } from '../../../shared/math/linear-map.ts';
import { shape } from '../../../shared/math/shape.ts';
import { evaluate, type Matrix, matrix } from '../../support/evaluate.ts';
import {
  degreeOf,
  forExpressions,
  graphOf,
  innerProduct,
  integerInputs,
  integers,
  linearCoefficient,
  plainZeros,
  stackColumns,
} from './expressions.ts';

const EXPRESSIONS: readonly (readonly [text: string, wrt: string])[] = [
  ['W', 'W'],
  ["W'", 'W'],
  ['M32*W', 'W'],
  ['W*M32', 'W'],
  ["W'*M22*W", 'W'],
  ["W*V*W'", 'V'],
  ['M12*W*M31 + 2*s', 'W'],
  ['M32*W*V + V', 'V'],
  ['V*V*V', 'V'],
  ["(x'*V*y)*M23", 'V'],
  ["(x'*V'*y)*M23*V", 'V'],
  ["M21*((x'*V*y)*M13)'' ", 'V'],
  ["((x'*V*y)*M23)'", 'V'],
  ["(x'*V*y)*(s*t)*M23", 'V'],
  ["(x'*V*y)*(x'*V*x)*V", 'V'],
  ['s*W', 'W'],
  ['s*W', 's'],
  ['W*s', 's'],
  ['s*t*W*s', 's'],
  ['s*s*s', 's'],
  ['2*s - s', 's'],
  ['x*s', 's'],
  ["s*x'", 's'],
  ["x'*y", 'x'],
  ["x*x'", 'x'],
  ["x'*V*x", 'x'],
  ["(x*x')'*x", 'x'],
  ["M23*x'' ", 'x'],
  ["((W')'*V)'", 'W'],
  ['-(-W) - W', 'W'],
  ['W + W', 'W'],
  ["(M32*W)' + V' - (3*V)'", 'V'],
  ["(V + V')*(V - V')", 'V'],
  ['0*W', 'W'],
  ["M31*(x'*V)", 'V'],
  ['1e-1*10*s', 's'],
];

function assertDerivatives(f: Node, wrt: string, degree: number): void {
  const direction = directionOf(f, wrt);
  const cotangent = cotangentOf(f);
  const inputs = integerInputs([f]);
  const h = integers(direction.shape, 11);
  const g = integers(cotangent.shape, 12);
  const all = { ...inputs, [direction.params.name]: h, [cotangent.params.name]: g };

  const forward = evaluate(derive(f, 'jvp', wrt), all);
  deepEqual(plainZeros(forward), plainZeros(linearCoefficient(f, wrt, inputs, h, degree)), 'jvp');
  const reverse = evaluate(derive(f, 'vjp', wrt), all);
  equal(innerProduct(forward, g), innerProduct(h, reverse), 'adjoint identity');
  deepEqual(
    plainZeros(reverse),
    plainZeros(adjointByUnits(f, wrt, inputs, g, degree)),
    'vjp, element by element',
  );
  const jacobian = evaluate(derive(f, 'jacobian', wrt), inputs);
  deepEqual(multiply(jacobian, stackColumns(h)), stackColumns(plainZeros(forward)), 'jacobian');
  assertNormalForm(f, wrt, all, forward, reverse, jacobian);
}

/** ⟨dF(e_ij), G⟩ for every unit matrix e_ij. */
function adjointByUnits(
  f: Node,
  wrt: string,
  inputs: Readonly<Record<string, Matrix>>,
  g: Matrix,
  degree: number,
): Matrix {
  const { rows, cols } = directionOf(f, wrt).shape;
  const data = Array.from({ length: rows * cols }, (_, place) => {
    const unit = {
      rows,
      cols,
      data: Array.from({ length: rows * cols }, (_, other) => Number(other === place)),
    };
    return innerProduct(linearCoefficient(f, wrt, inputs, unit, degree), g);
  });
  return { rows, cols, data };
}

function assertNormalForm(
  f: Node,
  wrt: string,
  inputs: Readonly<Record<string, Matrix>>,
  forward: Matrix,
  reverse: Matrix,
  jacobian: Matrix,
): void {
  const direction = directionOf(f, wrt);
  const operand = inputsOf([f]).find(({ params }) => params.name === wrt)!;
  const map = linearMap(jvp(f, new Map([[operand, direction]]))!, direction);
  deepEqual(
    plainZeros(evaluate(differentialOf(map, direction), inputs)),
    plainZeros(forward),
    'differential',
  );
  deepEqual(plainZeros(evaluate(adjointOf(map, cotangentOf(f)), inputs)), plainZeros(reverse), 'adjoint');
  deepEqual(
    plainZeros(evaluate(jacobianOf(map), inputs)),
    plainZeros(jacobian),
    'jacobian of the normal form',
  );
}

function multiply(a: Matrix, vector: readonly number[]): number[] {
  return Array.from({ length: a.rows }, (_, i) =>
    vector.reduce((total, value, j) => total + a.data[i * a.cols + j]! * value, 0),
  );
}

describe('derive', () => {
  test('A·H of the seed example', () => {
    const shapes = new Map([
      ['A', shape(3, 2)],
      ['W', shape(2, 2)],
    ]);
    const f = graphOf('A*W', shapes);
    const a = matrix([
      [1, 2],
      [3, 4],
      [5, 6],
    ]);
    const h = matrix([
      [1, 0],
      [-2, 1],
    ]);
    deepEqual(
      evaluate(derive(f, 'jvp', 'W'), { A: a, dW: h }),
      matrix([
        [-3, 2],
        [-5, 4],
        [-7, 6],
      ]),
    );
  });

  for (const [text, wrt] of EXPRESSIONS) {
    test(`${text} with respect to ${wrt} has exactly the derivatives of its polynomial`, () => {
      assertDerivatives(graphOf(text), wrt, degreeOf(text, wrt));
    });
  }

  test('generated expressions have exactly the derivatives of their polynomials', () => {
    forExpressions((text, f) => assertDerivatives(f, 'W', degreeOf(text)));
  });

  test('a derivative can be derived again: the second derivative of a polynomial is exact', () => {
    for (const [text, wrt] of EXPRESSIONS.filter(([text, wrt]) => degreeOf(text, wrt) >= 2)) {
      const first = derive(graphOf(text), 'jvp', wrt);
      if (!inputsOf([first]).some(({ params }) => params.name === wrt)) continue;
      const inputs = integerInputs([first]);
      const direction = directionOf(first, wrt);
      const k = integers(direction.shape, 21);
      const second = evaluate(derive(first, 'jvp', wrt), { ...inputs, [direction.params.name]: k });
      const expected = linearCoefficient(first, wrt, inputs, k, degreeOf(text, wrt) - 1);
      deepEqual(plainZeros(second), plainZeros(expected), text);
    }
  });

  test('the derivative of F affine in W needs no value of W; that of others does', () => {
    const needs = (text: string, operation: 'jvp' | 'vjp' | 'jacobian') =>
      inputsOf([derive(graphOf(text), operation, 'W')]).map(({ params }) => params.name);
    deepEqual(needs('M32*W', 'jvp'), ['M32', 'dW']);
    deepEqual(needs('M32*W', 'vjp'), ['M32', 'G']);
    deepEqual(needs('M32*W', 'jacobian'), ['M32']);
    deepEqual(needs("W*W'", 'jvp').toSorted(), ['W', 'dW']);
    equal(isLinearIn(graphOf('M32*W + 2*V'), 'W'), true);
    equal(isLinearIn(graphOf("W*W'"), 'W'), false);
    equal(isLinearIn(graphOf("W*W'".replace("W'", 'M32')), 'W'), true);
  });

  test('the value is the expression itself', () => {
    const f = graphOf('M32*W');
    equal(derive(f, 'value', 'W'), f);
  });

  test('direction and cotangent take names that no operand has', () => {
    const shapes = new Map(['W', 'dW', 'dW1', 'G'].map(name => [name, shape(2, 2)]));
    const f = graphOf('W*dW*dW1*G', shapes);
    equal(directionOf(f, 'W').params.name, 'dW2');
    equal(directionOf(f, 'G').params.name, 'dG');
    equal(cotangentOf(f).params.name, 'G1');
  });

  test('a name that does not occur is an unknown symbol', () => {
    throws(() => derive(graphOf('M32*W'), 'jvp', 'Z'), { code: 'unknown-symbol' });
    throws(() => describeDerivative(graphOf('M32*W'), 'V'), { code: 'unknown-symbol' });
  });
});

describe('describeDerivative', () => {
  const shapes = new Map([
    ['A', shape(3, 2)],
    ['W', shape(2, 2)],
    ['B', shape(2, 4)],
    ['x', shape(2, 1)],
    ['y', shape(2, 1)],
    ['S', shape(2, 2)],
    ['s', shape(1, 1)],
  ]);
  const describe = (text: string, wrt = 'W') => describeDerivative(graphOf(text, shapes), wrt);

  test('A*W as the contract prints it', () => {
    deepEqual(describe('A*W'), {
      linear: true,
      differential: 'A*dW',
      adjoint: "A'*G",
      jacobian: 'kron(eye(2), A)',
      latex:
        '\\mathrm{d}F(\\mathrm{d}W) = A \\mathrm{d}W, \\quad \\mathrm{d}F^{*}(G) = A^{\\top} G, \\quad J = I_{2} \\otimes A',
    });
  });

  const table = [
    ['A*W*B + A*B', 'A*dW*B', "A'*G*B'", "kron(B', A)"],
    [
      "W'*S*W",
      "dW'*S*W + W'*S*dW",
      "S*W*G' + S'*W*G",
      "kron(W'*S', eye(2))*commutation(2, 2) + kron(eye(2), W'*S)",
    ],
    ["(x'*W*y)*A", "x'*dW*y*A", "tr(A'*G)*x*y'", "vec(A)*kron(y', x')"],
    ['W + W', '2*dW', '2*G', '2*eye(4)'],
    ['W - 2*W', 'dW - 2*dW', 'G - 2*G', 'eye(4) - 2*eye(4)'],
    [
      "-2*(W + W)'*S - W'",
      "-4*dW'*S - dW'",
      "-4*S*G' - G'",
      "-4*kron(S', eye(2))*commutation(2, 2) - commutation(2, 2)",
    ],
    ['s*W', 's*dW', 's*G', 's*eye(4)'],
    ["S*(B*B'*W)", "S*B*B'*dW", "B*B'*S'*G", "kron(eye(2), S*B*B')"],
  ] as const;
  for (const [text, differential, adjoint, jacobian] of table) {
    test(`${text} reads well`, () => {
      const { latex: _latex, linear: _linear, ...texts } = describe(text);
      deepEqual(texts, { differential, adjoint, jacobian });
    });
  }

  test('the Jacobian of A*x with respect to a vector is A', () => {
    equal(describe('A*x', 'x').jacobian, 'A');
    equal(describe("x'*S", 'x').jacobian, "S'");
    equal(describe("S*x*x'*S", 'x').jacobian, "kron(S'*x, S) + kron(S', S*x)");
  });

  test('a description too long to be read is null, and comes in good time', () => {
    const text = Array.from({ length: 500 }, () => 'W').join('*');
    const description = describe(text);
    equal(description.differential, null);
    equal(description.latex, null);
    equal(description.linear, false);
  });
});
