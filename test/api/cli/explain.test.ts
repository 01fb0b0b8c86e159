// Derivatives in words, with letters for sizes.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { explainExpression } from '../../../api/cli/explain.ts';
import { frechetHere } from './command-line.ts';

const none = new Map();

const CASES: readonly (readonly [
  expression: string,
  wrt: string,
  shapes: object,
  differential: string,
  adjoint: string,
  jacobian: string,
])[] = [
  ['A*W', 'W', { A: 'm×n', W: 'n×p', F: 'm×p' }, 'A*dW', "A'*G", 'kron(eye(p), A)'],
  ['A*W*B', 'W', { A: 'm×n', W: 'n×p', B: 'p×q', F: 'm×q' }, 'A*dW*B', "A'*G*B'", "kron(B', A)"],
  ['A*W', 'A', { A: 'm×n', W: 'n×p', F: 'm×p' }, 'dA*W', "G*W'", "kron(W', eye(m))"],
  ["W'", 'W', { W: 'm×n', F: 'n×m' }, "dW'", "G'", 'commutation(m, n)'],
  ['-2*W', 'W', { W: 'm×n', F: 'm×n' }, '-2*dW', '-2*G', '-2*eye(m*n)'],
  ['m*W', 'W', { m: 'n×p', W: 'p×q', F: 'n×q' }, 'm*dW', "m'*G", 'kron(eye(q), m)'],
];

for (const [expression, wrt, shapes, differential, adjoint, jacobian] of CASES) {
  test(`${expression} in ${wrt}`, () => {
    const explained = explainExpression(expression, wrt, none);
    assert.deepEqual(explained.shapes, shapes);
    assert.deepEqual(
      [explained.differential, explained.adjoint, explained.jacobian],
      [differential, adjoint, jacobian],
    );
    assert.equal(explained.linear, true);
  });
}

test('a sum makes sizes equal, and what is not linear is said to be so', () => {
  const { shapes, linear, differential } = explainExpression("W'*A*W + A", 'W', none);
  assert.deepEqual(shapes, { W: 'm×m', A: 'm×m', F: 'm×m' });
  assert.equal(linear, false);
  assert.equal(differential, "dW'*A*W + W'*A*dW");
});

test('sizes that are given stay numbers, beside letters', () => {
  const given = new Map([['W', { rows: 2, cols: 3 }]]);
  const { shapes, jacobian } = explainExpression('A*W', 'W', given);
  assert.deepEqual(shapes, { A: 'm×2', W: '2×3', F: 'm×3' });
  assert.equal(jacobian, 'kron(eye(3), A)');
  const row = explainExpression('W', 'W', new Map([['W', { rows: 12, cols: 12 }]]));
  assert.equal(row.jacobian, 'eye(144)');
});

test('a 1×1 factor scales where its shape says so', () => {
  const given = new Map([['s', { rows: 1, cols: 1 }]]);
  const { shapes, jacobian, latex } = explainExpression('s*W', 'W', given);
  assert.deepEqual(shapes, { s: '1×1', W: 'm×n', F: 'm×n' });
  assert.equal(jacobian, 's*eye(m*n)');
  assert.match(latex ?? '', /I_\{m n\}/);
});

test('no number but those of sizes is taken for one', () => {
  for (const number of ['100003', '200006', '0.100003'])
    assert.equal(explainExpression(`${number}*A*W`, 'W', none).differential, `${number}*A*dW`);
  assert.equal(explainExpression('A100003*W', 'W', none).differential, 'A100003*dW');
  const given = new Map([['A', { rows: 100_003, cols: 2 }]]);
  assert.deepEqual(explainExpression('A*W*B', 'W', given).shapes, {
    A: '100003×2',
    W: '2×m',
    B: 'm×n',
    F: '100003×n',
  });
  assert.equal(explainExpression('123456789*W', 'W', none).differential, '123456789*dW');
});

test('a fault of the text is shown where it is', () => {
  assert.throws(() => explainExpression('A*W +* B', 'W', none), /\n {2}A\*W \+\* B\n {7}\^$/);
  assert.throws(() => explainExpression('A*W', 'X', none), /X does not occur/);
  assert.throws(() => explainExpression('A*W', 'W', new Map([['B', { rows: 1, cols: 1 }]])), /no such name/);
});

test('the command prints it, as text and as JSON, without a service', async () => {
  const text = await frechetHere(['explain', 'A*W*B', '--wrt', 'W']);
  assert.equal(text.code, 0, text.stderr);
  assert.match(text.stdout, /differential {2}dF\(dW\) = A\*dW\*B\n/);
  assert.match(text.stdout, /Jacobian +J = kron\(B', A\)/);
  const json = await frechetHere(['explain', 'A*W', '--shape', 'W=4x5', '--json']);
  assert.equal(JSON.parse(json.stdout).jacobian, 'kron(eye(5), A)');
  assert.equal((await frechetHere(['explain', 'A*W', '--shape', 'W=4by5'])).code, 2);
  assert.equal((await frechetHere(['explain', 'A*'])).code, 2);
});
