// Derivatives of expressions against those worked out by hand, over integers, so that every bit is known.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Client, createClient, inline } from '../support/client.ts';
import { elementAt, type Matrix, tabulate } from '../support/evaluate.ts';
import {
  columnsOf,
  combination,
  diagonalCopies,
  integers,
  product,
  transposed,
} from '../support/integers.ts';
import { encodeNpy, matrixNpy, stackNpy } from '../support/npy.ts';
import { type Stack, startStack } from '../support/processes.ts';
import { assertResult, assertStackResult } from '../support/result-assertions.ts';

let stack: Stack;
let client: Client;
before(async () => {
  stack = await startStack({ env: { FRECHET_THREADS: '2', FRECHET_MEMORY_BYTES: '512MiB' } });
  client = createClient(stack.url);
});
after(() => stack.stop());

/** An expression in W, a direction H and a cotangent G, with dF(H) and its adjoint at G. */
interface Case {
  readonly operands: Readonly<Record<string, Matrix>>;
  readonly direction: Matrix;
  readonly cotangent: Matrix;
  readonly jvp: Matrix;
  readonly vjp: Matrix;
}

const [A, W, H] = [integers(5, 7, 1), integers(7, 3, 2), integers(7, 3, 3)];
const [S, T, V, G] = [integers(6, 6, 4), integers(6, 6, 5), integers(6, 6, 6), integers(6, 6, 7)];

/** dF(H) = A·H·B and Aᵀ·G·Bᵀ. */
function twoSided(): Case {
  const [B, cotangent] = [integers(3, 4, 8), integers(5, 4, 9)];
  const jvp = product(product(A, H), B);
  const vjp = product(product(transposed(A), cotangent), transposed(B));
  return { operands: { A, B, W }, direction: H, cotangent, jvp, vjp };
}

/** d(2Wᵀ − L·W·B·Wᵀ) with L = C·A: 2Hᵀ − L·(H·B·Wᵀ + W·B·Hᵀ). */
function mixed(): Case {
  const [C, B, cotangent] = [integers(3, 5, 10), integers(3, 3, 11), integers(3, 7, 12)];
  const L = product(C, A);
  const pulled = product(transposed(L), cotangent);
  const term = (x: Matrix, y: Matrix) => product(L, product(product(x, B), transposed(y)));
  return {
    operands: { A, B, C, W },
    direction: H,
    cotangent,
    jvp: combination([2, transposed(H)], [-1, term(H, W)], [-1, term(W, H)]),
    vjp: combination(
      [2, transposed(cotangent)],
      [-1, product(pulled, product(W, transposed(B)))],
      [-1, product(transposed(pulled), product(W, B))],
    ),
  };
}

/** dF(H) = H·W + W·H. */
function square(): Case {
  return {
    operands: { W: S },
    direction: T,
    cotangent: G,
    jvp: combination([1, product(T, S)], [1, product(S, T)]),
    vjp: combination([1, product(G, transposed(S))], [1, product(transposed(S), G)]),
  };
}

/** dF(H) = Hᵀ·A·W + Wᵀ·A·H. */
function form(): Case {
  return {
    operands: { A: V, W: S },
    direction: T,
    cotangent: G,
    jvp: combination([1, product(product(transposed(T), V), S)], [1, product(product(transposed(S), V), T)]),
    vjp: combination([1, product(product(V, S), transposed(G))], [1, product(product(transposed(V), S), G)]),
  };
}

/** What does not depend on W drops out: 2Hᵀ. */
function affine(): Case {
  const cotangent = integers(3, 7, 13);
  return {
    operands: { A, C: integers(3, 5, 14), W },
    direction: H,
    cotangent,
    jvp: combination([2, transposed(H)]),
    vjp: combination([2, transposed(cotangent)]),
  };
}

/** A 1×1 factor scales: dF(H) = s·A·H. */
function scaled(): Case {
  const [s, cotangent] = [{ rows: 1, cols: 1, data: [3] }, integers(5, 3, 15)];
  return {
    operands: { s, A, W },
    direction: H,
    cotangent,
    jvp: combination([3, product(A, H)]),
    vjp: combination([3, product(transposed(A), cotangent)]),
  };
}

const CASES: Readonly<Record<string, Case>> = {
  'A*W*B': twoSided(),
  "2*W' - C*A*W*B*W'": mixed(),
  'W*W': square(),
  "W'*A*W": form(),
  "-(W' + C*A) + 3*W'": affine(),
  's*A*W': scaled(),
};

for (const [expression, { operands, direction, cotangent, jvp, vjp }] of Object.entries(CASES)) {
  test(`the derivatives of ${expression} are those worked out by hand`, async () => {
    const values = Object.entries(operands).map(([name, value]) => [name, inline(value)]);
    const job = { expression, operands: Object.fromEntries(values) };
    const forward = await client.compute({ ...job, operation: 'jvp', direction: inline(direction) });
    const reverse = await client.compute({ ...job, operation: 'vjp', cotangent: inline(cotangent) });
    await assertResult(client, forward.id, jvp);
    await assertResult(client, reverse.id, vjp);
  });
}

test('the derivative may be taken in any name', async () => {
  const operands = { A: inline(A), W: inline(W) };
  const [direction, cotangent] = [integers(5, 7, 16), integers(5, 3, 17)];
  const forward = await client.compute({
    operation: 'jvp',
    wrt: 'A',
    operands,
    direction: inline(direction),
  });
  const reverse = await client.compute({
    operation: 'vjp',
    wrt: 'A',
    operands,
    cotangent: inline(cotangent),
  });
  await assertResult(client, forward.id, product(direction, W));
  await assertResult(client, reverse.id, product(cotangent, transposed(W)));
});

test('a stack is answered as a stack, member by member', async () => {
  const operands = { A: inline(A) };
  const directions = Array.from({ length: 9 }, (_, seed) => integers(7, 3, 20 + seed));
  const direction = await client.upload(stackNpy(directions));
  const forward = await client.compute({ operation: 'jvp', operands, direction });
  const products = directions.map(member => product(A, member));
  await assertStackResult(client, forward.id, [9, 5, 3], products);

  const cotangents = Array.from({ length: 4 }, (_, seed) => integers(5, 3, 30 + seed));
  const cotangent = await client.upload(stackNpy(cotangents));
  const reverse = await client.compute({ operation: 'vjp', operands, cotangent });
  const pulled = cotangents.map(member => product(transposed(A), member));
  await assertStackResult(client, reverse.id, [4, 7, 3], pulled);
});

test('a stack without members, or of members without elements, has a result of that shape', async () => {
  const shapes = [
    { given: [0, 7, 3], answered: [0, 5, 3] },
    { given: [4, 7, 0], answered: [4, 5, 0] },
  ] as const;
  for (const { given, answered } of shapes) {
    const direction = await client.upload(
      encodeNpy({ shape: given, dtype: 'float64', order: 'C', values: [] }),
    );
    const job = await client.compute({ operation: 'jvp', operands: { A: inline(A) }, direction });
    await assertStackResult(client, job.id, answered, []);
  }
});

test('the Jacobian of A*W is I ⊗ A in Fortran order, whole or any range of its columns', async () => {
  const whole = diagonalCopies(3, A);
  for (const columns of [undefined, [0, 21], [3, 11], [6, 7], [20, 21], [9, 9]] as const) {
    const job = await client.compute({
      operation: 'jacobian',
      operands: { A: inline(A), W: { shape: [7, 3] } },
      ...(columns && { jacobian: { columns } }),
    });
    const expected = columns ? columnsOf(whole, columns[0], columns[1]) : whole;
    await assertResult(client, job.id, expected, { order: 'F' });
  }
});

/** Stacks columns. */
function vec(x: Matrix): Matrix {
  return tabulate(x.rows * x.cols, 1, i => elementAt(x, i % x.rows, Math.floor(i / x.rows)));
}

for (const [expression, { operands, direction, jvp }] of Object.entries(CASES)) {
  test(`the Jacobian of ${expression} maps vec(H) to vec(dF(H))`, async () => {
    const values = Object.entries(operands).map(([name, value]) => [name, inline(value)]);
    const job = { expression, operation: 'jacobian', operands: Object.fromEntries(values) };
    const { id } = await client.compute(job);
    const { shape, values: data } = await client.result(id);
    const [rows = 0, cols = 0] = shape;
    assert.deepEqual(product({ rows, cols, data }, vec(direction)), vec(jvp));
  });
}

interface CheckReport {
  readonly passed: boolean;
  readonly linear: boolean;
  readonly taylor: Record<'steps' | 'remainders', number[]> & Record<'rate' | 'bound', number>;
  readonly adjoint: Record<'forward' | 'reverse' | 'relativeDefect' | 'bound', number>;
}

async function check(job: object): Promise<CheckReport> {
  const { id, result } = await client.compute({ operation: 'check', ...job });
  assert.deepEqual([result?.shape, result?.dtype, result?.order], [null, null, null]);
  const response = await client.get(`/v1/jobs/${id}/result`, { Accept: 'application/x-npy' });
  assert.equal(response.headers.get('content-type'), 'application/json');
  return (await response.json()) as CheckReport;
}

test('check of a linear map: nothing remains but rounding, and the adjoint agrees', async () => {
  const report = await check({ operands: { A: inline(A), W: inline(W) } });
  assert.deepEqual([report.passed, report.linear], [true, true]);
  assert.deepEqual(
    report.taylor.steps,
    [0, 1, 2, 3, 4, 5].map(i => 0.01 * 2 ** -i),
  );
  assert.equal(report.taylor.remainders.length, 6);
  assert.ok(report.taylor.remainders.every(remainder => remainder <= report.taylor.bound));
  assert.ok(report.adjoint.relativeDefect <= report.adjoint.bound);
});

test('check of a quadratic map: the remainder falls with the square of the step', async () => {
  const report = await check({ expression: "W'*A*W", operands: { A: inline(V), W: inline(S) } });
  assert.deepEqual([report.passed, report.linear], [true, false]);
  assert.ok(report.taylor.rate >= 1.9, `${report.taylor.rate}`);
  const [first = 0, second = 0] = report.taylor.remainders;
  assert.ok(Math.abs(first / second - 4) < 0.1, 'half the step, a quarter of the remainder');
});

test('check takes the direction and cotangent it is given', async () => {
  const cotangent = integers(5, 3, 40);
  const report = await check({
    operands: { A: inline(A), W: inline(W) },
    direction: inline(H),
    cotangent: inline(cotangent),
  });
  const inner = elementAt(product(transposed(vec(product(A, H))), vec(cotangent)), 0, 0);
  assert.deepEqual([report.adjoint.forward, report.adjoint.reverse], [inner, inner]);
});

test('check draws the same directions for a seed, and others for another', async () => {
  const operands = { A: await client.upload(matrixNpy(A)), W: inline(W) };
  const [first, again, other] = [
    await check({ operands, seed: 7 }),
    await check({ operands, seed: 7 }),
    await check({ operands, seed: 8 }),
  ];
  assert.deepEqual(first, again);
  assert.notEqual(first.adjoint.forward, other.adjoint.forward);
});
