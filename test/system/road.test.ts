// The road of a job, end to end over HTTP: what comes back is what the schoolbook says, bit for bit.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Client, createClient, inline } from '../support/client.ts';
import { type Matrix, matrix, tabulate } from '../support/evaluate.ts';
import { integers, product, transposed } from '../support/integers.ts';
import { matrixNpy } from '../support/npy.ts';
import { type Stack, startStack } from '../support/processes.ts';
import { assertResult } from '../support/result-assertions.ts';
import { seededRandom } from '../workers/kernels/fixture.ts';

let stack: Stack;
let client: Client;
before(async () => {
  stack = await startStack({ env: { FRECHET_THREADS: '2', FRECHET_MEMORY_BYTES: '512MiB' } });
  client = createClient(stack.url);
});
after(() => stack.stop());

/** Empty sides, one, primes, and past the blocks of every kernel. */
const SIZES = [
  [1, 1, 1],
  [0, 3, 2],
  [3, 0, 2],
  [3, 2, 0],
  [2, 3, 5],
  [7, 1, 13],
  [1, 17, 1],
  [31, 37, 41],
  [131, 257, 67],
] as const;
const DTYPES = ['float64', 'float32'] as const;

for (const dtype of DTYPES) {
  test(`A*W of every size in ${dtype}: value A·W, direction A·H, adjoint A'·G`, async () => {
    for (const [m, n, p] of SIZES) {
      const [a, w, g] = [integers(m, n, 1), integers(n, p, 2), integers(m, p, 3)];
      const [A, W, G] = await Promise.all([a, w, g].map(x => client.upload(matrixNpy(x, { dtype }))));
      const jobs = [
        { operation: 'value', operands: { A, W } },
        { operation: 'jvp', operands: { A }, direction: W },
        { operation: 'vjp', operands: { A, W: { shape: [n, p] } }, cotangent: G },
      ];
      const [value, jvp, vjp] = await Promise.all(jobs.map(job => client.compute({ ...job, dtype })));
      await assertResult(client, value!.id, product(a, w), { dtype });
      await assertResult(client, jvp!.id, product(a, w), { dtype });
      await assertResult(client, vjp!.id, product(transposed(a), g), { dtype });
      assert.equal(jvp!.verification?.maxError, 0, 'integers verify without any error');
    }
  });
}

test('a job is verified in as many rounds as it asks for, and says how far rounding may have moved it', async () => {
  const random = seededRandom(7);
  const [a, h] = [tabulate(90, 70, random), tabulate(70, 30, random)];
  const [A, direction] = [await client.upload(matrixNpy(a)), await client.upload(matrixNpy(h))];
  const job = { operation: 'jvp', operands: { A }, direction };
  const exact = await client.compute({ ...job, verification: { rounds: 3 } });
  assert.equal(exact.verification?.rounds, 3);
  const rough = await client.compute({ ...job, dtype: 'float32' });
  assert.equal(rough.verification?.rounds, 1);
  // Against the product of the rounded operands in float64, which is as good as exact.
  const rounded = ({ rows, cols, data }: Matrix) => ({ rows, cols, data: data.map(Math.fround) });
  const wanted = product(rounded(a), rounded(h)).data;
  const got = [...(await client.result(rough.id)).values].map(Number);
  const error = wanted.reduce((sum, value, index) => sum + Math.abs(value - got[index]!), 0);
  const { norm, absolute, relative } = rough.errorBound!;
  assert.equal(norm, 'sum');
  assert.ok(error > 0 && error <= absolute && absolute < 2000 * error, `${error} ≤ ${absolute}`);
  const size = got.reduce((sum, value) => sum + Math.abs(value), 0);
  assert.ok(Math.abs(relative! - absolute / size) <= 1e-6 * relative!);
  assert.equal(rough.errorBound!.componentwise, null, 'it was not asked for');
  const fine = await client.compute({ ...job, dtype: 'float32', errorBound: 'componentwise' });
  assert.deepEqual([...(await client.result(fine.id)).values].map(Number), got);
  const largest = Math.max(...wanted.map((value, index) => Math.abs(value - got[index]!)));
  const { componentwise } = fine.errorBound!;
  assert.ok(largest <= componentwise!.absolute && componentwise!.absolute < 1000 * largest);
  // The unit roundoffs are 2⁻²⁴ and 2⁻⁵³, and the data nearly the same.
  assert.ok(exact.errorBound!.absolute < 2 ** -28 * absolute);
});

test('C and Fortran order of either operand give the same bits', async () => {
  const [a, h] = [integers(23, 29, 4), integers(29, 19, 5)];
  const digests = new Set<string>();
  for (const orderA of ['C', 'F'] as const) {
    for (const orderH of ['C', 'F'] as const) {
      const A = await client.upload(matrixNpy(a, { order: orderA }));
      const direction = await client.upload(matrixNpy(h, { order: orderH }));
      const job = await client.compute({ operation: 'jvp', operands: { A }, direction });
      await assertResult(client, job.id, product(a, h));
      digests.add(job.result?.digest ?? '');
    }
  }
  assert.equal(digests.size, 1);
});

test('operands of another dtype are widened or rounded before they are used', async () => {
  const tenth = matrix([[0.1, 1 + 2 ** -30]]);
  const one = matrix([[1], [1]]);
  const [wide, narrow] = [
    await client.upload(matrixNpy(tenth)),
    await client.upload(matrixNpy(tenth, { dtype: 'float32' })),
  ];
  const rounded = Math.fround(0.1);
  const cases = [
    { A: wide, dtype: 'float64', expected: 0.1 + (1 + 2 ** -30) },
    { A: narrow, dtype: 'float64', expected: rounded + 1 },
    { A: wide, dtype: 'float32', expected: Math.fround(rounded + 1) },
    { A: narrow, dtype: 'float32', expected: Math.fround(rounded + 1) },
  ] as const;
  for (const { A, dtype, expected } of cases) {
    const job = { operation: 'jvp', operands: { A }, direction: inline(one), dtype, reproducible: true };
    const { id } = await client.compute(job);
    await assertResult(client, id, matrix([[expected]]), { dtype });
  }
});

test('NaN and infinities go where IEEE arithmetic takes them, and nowhere else', async () => {
  const poisoned = tabulate(4, 5, (i, j) =>
    i === 1 && j === 2 ? Number.NaN : i === 2 && j === 0 ? Infinity : i + j,
  );
  const direction = tabulate(5, 3, (i, j) => (i === 0 && j === 1 ? 0 : j - 1 + i));
  const A = await client.upload(matrixNpy(poisoned));
  for (const reproducible of [false, true]) {
    const job = await client.compute({
      operation: 'jvp',
      operands: { A },
      direction: inline(direction),
      reproducible,
    });
    const { values } = await client.result(job.id);
    assert.deepEqual(values, product(poisoned, direction).data);
  }
});

test('a result is the same numbers as .npy, JSON and CSV', async () => {
  const rows = [
    [1, -2.5],
    [1e300, 0.1],
  ];
  const operands = { A: { data: [[1]] } };
  const { id } = await client.compute({ operation: 'jvp', operands, direction: { data: rows } });
  const json = await client.get(`/v1/jobs/${id}/result`, { Accept: 'application/json' });
  assert.deepEqual(await json.json(), rows);
  const csv = await client.get(`/v1/jobs/${id}/result`, { Accept: 'text/csv' });
  const lines = (await csv.text()).trimEnd().split('\n');
  assert.deepEqual(
    lines.map(line => line.split(',').map(Number)),
    rows,
  );
  await assertResult(client, id, matrix(rows));
});

test('a result can be an operand of the next job', async () => {
  const [a, h] = [integers(5, 7, 11), integers(7, 3, 12)];
  const operands = { A: inline(a) };
  const first = await client.compute({ operation: 'jvp', operands, direction: inline(h) });
  const body = await (await client.get(`/v1/jobs/${first.id}/result`)).arrayBuffer();
  const cotangent = await client.upload(new Uint8Array(body));
  const second = await client.compute({ operation: 'vjp', operands, cotangent });
  await assertResult(client, second.id, product(transposed(a), product(a, h)));
});
