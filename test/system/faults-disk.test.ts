// A disk that is full, on a small file system of its own: new work is refused, accepted work waits, and everything
// goes on by itself once there is space again.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { mountSmallDisk } from '../chaos/small-disk.ts';
import { createClient, inline } from '../support/client.ts';
import { integers, product } from '../support/integers.ts';
import { startStack } from '../support/processes.ts';
import { assertResult } from '../support/result-assertions.ts';
import { addWorker } from '../support/worker.ts';

const DISK_BYTES = 64 * 1024 * 1024;
/** More than one attempt of a worker to store its block. */
const FULL_MS = 3_000;
const [A, H] = [integers(20, 30, 1), integers(30, 10, 2)];
const JOB = { operation: 'jvp', operands: { A: inline(A) }, direction: inline(H) };
const WORKER = { FRECHET_THREADS: '1', FRECHET_MEMORY_BYTES: '256MiB', FRECHET_KERNEL: 'wasm' };

const disk = mountSmallDisk(DISK_BYTES);
const skip = disk === undefined && 'no file system can be mounted here';

test('a full disk refuses new work with 507, and loses nothing of the old', { skip }, async context => {
  assert.ok(disk);
  context.after(() => disk.unmount());
  const env = { FRECHET_STORE: `file:${disk.path}/store` };
  const stack = await startStack({ workers: 0, env });
  context.after(() => stack.stop());
  const client = createClient(stack.url);
  const accepted = await client.submit(JOB);
  const free = await disk.fill();
  const worker = await addWorker(stack, { ...WORKER, ...env }).catch(() => undefined);
  context.after(() => worker?.stop());

  const refused = await client.post('/v1/jobs', JSON.stringify(JOB), { 'Content-Type': 'application/json' });
  assert.equal(refused.status, 507);
  assert.ok(Number(refused.headers.get('Retry-After')) > 0);
  const upload = await client.post('/v1/arrays', '[[1]]', { 'Content-Type': 'application/json' });
  assert.equal(upload.status, 507);
  await sleep(FULL_MS);
  assert.notEqual((await client.read(accepted.id)).state, 'failed');

  await free();
  const late = worker ?? (await addWorker(stack, { ...WORKER, ...env }));
  context.after(() => late.stop());
  assert.equal((await client.until(accepted.id)).state, 'succeeded');
  await assertResult(client, accepted.id, product(A, H));
  const next = await client.compute(JOB);
  await assertResult(client, next.id, product(A, H));
});
