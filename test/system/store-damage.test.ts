// Bytes that change or disappear in the store: noticed, never computed with, never served as if they were right.

import assert from 'node:assert/strict';
import { open, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type Client, createClient, inline } from '../support/client.ts';
import { integers, product } from '../support/integers.ts';
import { matrixNpy } from '../support/npy.ts';
import { type Stack, startStack } from '../support/processes.ts';
import { assertResult } from '../support/result-assertions.ts';
import { addWorker } from '../support/worker.ts';

const H = integers(300, 4, 1);
const WORKER = { FRECHET_THREADS: '1', FRECHET_MEMORY_BYTES: '256MiB' };

let stack: Stack;
let client: Client;
before(async () => {
  stack = await startStack({ workers: 0 });
  client = createClient(stack.url);
});
after(() => stack.stop());

/** The file in the store whose path holds all the words. */
async function findFile(...words: readonly string[]): Promise<string> {
  const entries = await readdir(join(stack.dataDir, 'store'), { recursive: true, withFileTypes: true });
  const paths = entries.filter(entry => entry.isFile()).map(entry => join(entry.parentPath, entry.name));
  const found = paths.filter(path => words.every(word => path.includes(word)));
  assert.equal(found.length, 1, `${words} name one file of ${paths.join(' ')}`);
  return found[0] ?? '';
}

/** Turns one bit over. */
async function flipBit(path: string, position: number): Promise<void> {
  const file = await open(path, 'r+');
  const byte = new Uint8Array(1);
  await file.read(byte, 0, 1, position);
  byte[0] = (byte[0] ?? 0) ^ 1;
  await file.write(byte, 0, 1, position);
  await file.close();
}

test('operands that changed or disappeared fail their job, and no other', async () => {
  const [changed, lost, good] = [integers(50, 300, 2), integers(50, 300, 3), integers(50, 300, 4)];
  const ids = await Promise.all([changed, lost, good].map(matrix => client.upload(matrixNpy(matrix))));
  const direction = inline(H);
  const jobs = await Promise.all(
    ids.map(A => client.submit({ operation: 'jvp', operands: { A }, direction })),
  );
  await flipBit(await findFile('arrays', ids[0] ?? ''), 4321);
  await rm(await findFile('arrays', ids[1] ?? ''));
  const worker = await addWorker(stack, WORKER);
  try {
    const ended = await Promise.all(jobs.map(job => client.until(job.id)));
    assert.deepEqual(
      ended.map(job => job.error?.type ?? job.state),
      ['urn:frechet:problem:operand-corrupt', 'urn:frechet:problem:operand-lost', 'succeeded'],
    );
    await assertResult(client, jobs[2]?.id ?? '', product(good, H));
  } finally {
    await worker.stop();
  }
});

test('a result that changed is never sent as if it were right', async () => {
  const worker = await addWorker(stack, WORKER);
  const A = integers(200, 300, 5);
  const job = await client.compute({ operation: 'jvp', operands: { A: inline(A) }, direction: inline(H) });
  await worker.stop();
  const path = `/v1/jobs/${job.id}/result`;
  const whole = Buffer.from(await (await client.get(path)).arrayBuffer());
  await flipBit(await findFile(job.id, 'blocks'), 1000);
  for (const target of [path, `${path}/blocks/0`]) {
    for (const headers of [{}, { Range: 'bytes=500-1500' }, { Accept: 'application/json' }]) {
      const received = await client
        .get(target, headers as Record<string, string>)
        .then(async response => ({
          status: response.status,
          body: Buffer.from(await response.arrayBuffer()),
        }))
        .catch(() => undefined);
      if (received === undefined) continue; // the connection broke, as it should where the answer had begun
      assert.equal(received.status, 503, target);
      assert.ok(received.body.length < whole.length && received.body.includes('result-corrupt'));
    }
  }
});
