// NumPy itself writes the operands and reads the results, where this machine has it.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { after, before, test } from 'node:test';
import { type Client, createClient } from '../support/client.ts';
import { type Stack, startStack } from '../support/processes.ts';

/** Runs a script of Python over the bytes; answers what it writes. */
function python(script: string, input: Uint8Array = new Uint8Array(0)): Buffer<ArrayBuffer> {
  const run = spawnSync('python3', ['-c', script], { input, maxBuffer: 64 * 1024 * 1024 });
  assert.equal(run.status, 0, String(run.stderr));
  return Buffer.from(run.stdout);
}

const hasNumpy = spawnSync('python3', ['-c', 'import numpy']).status === 0;
const skip = hasNumpy ? false : 'there is no python3 with numpy on this machine';

let stack: Stack;
let client: Client;
before(async () => {
  if (!hasNumpy) return;
  stack = await startStack({ env: { FRECHET_THREADS: '1', FRECHET_MEMORY_BYTES: '256MiB' } });
  client = createClient(stack.url);
});
after(() => stack?.stop());

const PRELUDE = `
import sys, io, numpy as np
def save(array):
    buffer = io.BytesIO(); np.save(buffer, array); sys.stdout.buffer.write(buffer.getvalue())
def load():
    return np.load(io.BytesIO(sys.stdin.buffer.read()), allow_pickle=False)
rng = np.random.default_rng(1)
A = rng.integers(-9, 9, (37, 23)).astype(float)
H = rng.integers(-9, 9, (23, 11)).astype(float)
`;

/** How NumPy may hold the same A: any order and any type that the integers fit. */
const FORMS = [
  'A',
  'np.asfortranarray(A)',
  'A.astype("f4")',
  'A.astype("f2")',
  'A.astype(">f8")',
  'np.asfortranarray(A.astype(">f4"))',
  'A.astype("i1")',
  'A.astype("i8")',
  'A.astype(">i2")',
];

for (const form of FORMS) {
  test(`np.save(${form}) uploads, and the product loads in NumPy and is exact`, { skip }, async () => {
    const operand = await client.upload(python(`${PRELUDE}\nsave(${form})`));
    const direction = await client.upload(python(`${PRELUDE}\nsave(H)`));
    const { id } = await client.compute({ operation: 'jvp', operands: { A: operand }, direction });
    const result = await (await client.get(`/v1/jobs/${id}/result`)).arrayBuffer();
    const check = `${PRELUDE}
C = load()
assert C.dtype == np.float64 and C.flags.c_contiguous, C.dtype
assert np.array_equal(C, A @ H)`;
    python(check, new Uint8Array(result));
  });
}

test('a Jacobian loads as NumPy’s kron, in Fortran order; a stack as an array of rank 3', {
  skip,
}, async () => {
  const A = await client.upload(python(`${PRELUDE}\nsave(A)`));
  const jacobian = await client.compute({ operation: 'jacobian', operands: { A, W: { shape: [23, 3] } } });
  const first = await (await client.get(`/v1/jobs/${jacobian.id}/result`)).arrayBuffer();
  python(
    `${PRELUDE}\nJ = load()\nassert J.flags.f_contiguous and np.array_equal(J, np.kron(np.eye(3), A))`,
    new Uint8Array(first),
  );
  const direction = await client.upload(python(`${PRELUDE}\nsave(np.stack([H, 2 * H, -H]))`));
  const stacked = await client.compute({ operation: 'jvp', operands: { A }, direction });
  const second = await (await client.get(`/v1/jobs/${stacked.id}/result`)).arrayBuffer();
  python(
    `${PRELUDE}\nC = load()\nassert np.array_equal(C, np.stack([A @ H, 2 * A @ H, -A @ H]))`,
    new Uint8Array(second),
  );
});

test('random real numbers agree with NumPy to rounding, as does CSV', { skip }, async () => {
  const real = `${PRELUDE}\nR = rng.standard_normal((150, 90)); S = rng.standard_normal((90, 70))`;
  const A = await client.upload(python(`${real}\nsave(R)`));
  const direction = await client.upload(python(`${real}\nsave(S)`));
  const { id } = await client.compute({ operation: 'jvp', operands: { A }, direction });
  const npy = await (await client.get(`/v1/jobs/${id}/result`)).arrayBuffer();
  const close = `assert np.abs(C - R @ S).max() <= 90 * 2**-52 * (np.abs(R) @ np.abs(S)).max()`;
  python(`${real}\nC = load()\n${close}`, new Uint8Array(npy));
  const csv = await (await client.get(`/v1/jobs/${id}/result`, { Accept: 'text/csv' })).arrayBuffer();
  python(`${real}\nC = np.loadtxt(sys.stdin, delimiter=',')\n${close}`, new Uint8Array(csv));
});
