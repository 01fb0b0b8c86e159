// Whatever kernel and however many threads compute: exact integers are the same bits, and a reproducible job always is.

import assert from 'node:assert/strict';
import { dirname } from 'node:path';
import { test } from 'node:test';
import { type Client, createClient } from '../support/client.ts';
import { type Matrix, tabulate } from '../support/evaluate.ts';
import { integers, product, transposed } from '../support/integers.ts';
import { matrixNpy } from '../support/npy.ts';
import { startStack } from '../support/processes.ts';
import { assertResult } from '../support/result-assertions.ts';
import { availableSources } from '../workers/kernels/sources.ts';

const DTYPES = ['float64', 'float32'] as const;
/** Past a tile of every kernel, and prime. */
const [ROWS, INNER, COLS] = [139, 311, 71];

const native = availableSources().get('native');
/** Workers look for a BLAS where the system's loader does. */
const libraryPath = native?.name === 'native' ? dirname(native.libraryPath) : '';
const SETTINGS = [
  { kernel: 'reference', threads: 1 },
  { kernel: 'wasm', threads: 1 },
  { kernel: 'wasm', threads: 2 },
  { kernel: 'wasm', threads: 3 },
  ...(native === undefined ? [] : [{ kernel: 'native', threads: 2 }]),
];

/** Sums of these round, so another order of summation gives other bits. */
function irrational(rows: number, cols: number, seed: number): Matrix {
  return tabulate(rows, cols, (i, j) => Math.sqrt(1 + ((i * 7919 + j * 104_729 + seed) % 1009)) - 16);
}

async function computeIntegers(client: Client, kernel: string): Promise<void> {
  const [a, h, g] = [integers(ROWS, INNER, 1), integers(INNER, COLS, 2), integers(ROWS, COLS, 3)];
  for (const dtype of DTYPES) {
    const [A, H, G] = await Promise.all([a, h, g].map(x => client.upload(matrixNpy(x, { dtype }))));
    const forward = await client.compute({ operation: 'jvp', operands: { A }, direction: H, dtype });
    const reverse = await client.compute({ operation: 'vjp', operands: { A }, cotangent: G, dtype });
    assert.equal(forward.kernel, kernel);
    await assertResult(client, forward.id, product(a, h), { dtype });
    await assertResult(client, reverse.id, product(transposed(a), g), { dtype });
  }
}

/** Digests of reproducible jobs: both dtypes and directions, a stack, a longer expression, a Jacobian. */
async function reproducibleDigests(client: Client): Promise<string[]> {
  const values = [irrational(ROWS, INNER, 1), irrational(INNER, COLS, 2), irrational(ROWS, COLS, 3)];
  const [A, H, G] = await Promise.all(values.map(x => client.upload(matrixNpy(x))));
  const jobs = DTYPES.flatMap(dtype => [
    { operation: 'jvp', operands: { A }, direction: H, dtype },
    { operation: 'vjp', operands: { A }, cotangent: G, dtype },
    { operation: 'jvp', expression: "W'*A'*A*W", operands: { A, W: H }, direction: H, dtype },
    { operation: 'jacobian', operands: { A, W: { shape: [INNER, 2] } }, dtype },
  ]);
  const digests: string[] = [];
  for (const job of jobs) {
    const { result } = await client.compute({ ...job, reproducible: true });
    digests.push(result?.digest ?? '');
  }
  return digests;
}

const digests = new Map<string, string[]>();

for (const { kernel, threads } of SETTINGS) {
  test(`integers are exact with the ${kernel} kernel and ${threads} threads`, async context => {
    const stack = await startStack({
      env: {
        FRECHET_KERNEL: kernel,
        FRECHET_THREADS: String(threads),
        FRECHET_MEMORY_BYTES: '256MiB',
        ...(kernel === 'native' && { LD_LIBRARY_PATH: libraryPath }),
      },
    });
    context.after(() => stack.stop());
    const client = createClient(stack.url);
    await computeIntegers(client, kernel);
    digests.set(`${kernel} with ${threads} threads`, await reproducibleDigests(client));
  });
}

test('reproducible jobs have the same digest whatever computed them', () => {
  assert.equal(digests.size, SETTINGS.length);
  const [[, expected] = ['', []]] = digests;
  assert.equal(new Set(expected).size, 8, 'eight jobs, eight results');
  for (const [name, found] of digests) assert.deepEqual(found, expected, name);
});
