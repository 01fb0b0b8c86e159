// A worker with less memory than a usual one: jobs are cut to fit it, or refused, and never wait for ever.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { assertProblem } from '../api/problem-assertions.ts';
import { type Client, createClient } from '../support/client.ts';
import { encodeNpy } from '../support/npy.ts';
import { type Stack, startStack } from '../support/processes.ts';

const SIDE = 2_000;

let stack: Stack;
let client: Client;
let A: string;
before(async () => {
  stack = await startStack({ env: { FRECHET_THREADS: '1', FRECHET_MEMORY_BYTES: '96MiB' } });
  client = createClient(stack.url);
  const values = Array.from({ length: SIDE * SIDE }, (_, at) => at % 3);
  A = await client.upload(encodeNpy({ shape: [SIDE, SIDE], dtype: 'float64', order: 'C', values }));
});
after(() => stack.stop());

test('operands and result that do not fit together into its memory are computed in pieces', async () => {
  const job = await client.compute({ operation: 'jvp', operands: { A }, direction: A });
  assert.ok(job.progress.blocksTotal > 1);
  const { shape, values } = await client.result(job.id);
  assert.deepEqual(shape, [SIDE, SIDE]);
  // Rows of A repeat with period 3, and so do those of its square.
  const entry = (i: number, j: number) => {
    let sum = 0;
    for (let k = 0; k < SIDE; k += 1) sum += ((i * SIDE + k) % 3) * ((k * SIDE + j) % 3);
    return sum;
  };
  const expected = [0, 1, 2].map(i => [0, 1, 2].map(j => entry(i, j)));
  const wrong = values.findIndex(
    (value, at) => value !== expected[Math.floor(at / SIDE) % 3]?.[(at % SIDE) % 3],
  );
  assert.equal(wrong, -1);
});

test('what no block size makes fit is refused, with the limit', async () => {
  const column = { data: Array.from({ length: 1_000 }, () => [1]) };
  const body = {
    operation: 'jacobian',
    operands: { A: column, W: { shape: [1, 14_000] } },
    jacobian: { columns: [0, 1] },
  };
  const response = await client.post('/v1/jobs', JSON.stringify(body), {
    'Content-Type': 'application/json',
  });
  await assertProblem(response, 'job-too-large');
});

test('where no worker is known yet, blocks fit the memory that is configured for them', async t => {
  const alone = await startStack({ workers: 0, env: { FRECHET_MEMORY_BYTES: '32MiB' } });
  t.after(alone.stop);
  // Each of the four columns has 8 MB.
  const body = {
    operation: 'jacobian',
    operands: { A: { data: Array.from({ length: 1_000 }, () => [1]) }, W: { shape: [1, 1_000] } },
    jacobian: { columns: [0, 4] },
  };
  const headers = { 'Content-Type': 'application/json' };
  const answer = await createClient(alone.url).post('/v1/plan', JSON.stringify(body), headers);
  const { blocks, peakBytes } = (await answer.json()) as { blocks: number; peakBytes: number };
  assert.ok(blocks > 1 && peakBytes <= 0.75 * 32 * 2 ** 20, `${blocks} blocks of ${peakBytes} bytes`);
});
