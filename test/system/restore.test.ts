// Backup and restore as deploy/README.md says: the store's volume as it was at one moment, taken while everything runs,
// beside a Redis that knows nothing. What was finished is there to the byte, what was not goes on from its blocks.

import assert from 'node:assert/strict';
import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createClient, inline, type JobDocument } from '../support/client.ts';
import { integers, product } from '../support/integers.ts';
import { assertOuterProduct, OUTER_BLOCKS, outerProductJob } from '../support/outer-product.ts';
import { type Stack, startStack } from '../support/processes.ts';
import { assertResult } from '../support/result-assertions.ts';
import { temporaryFolder } from '../support/temporary.ts';

const SETTINGS = {
  FRECHET_KERNEL: 'reference',
  FRECHET_THREADS: '1',
  FRECHET_MEMORY_BYTES: '1GiB',
  FRECHET_DRAIN_SECONDS: '1',
};
/** A younger job is left to whoever accepted it; a restored one is older by far. */
const YOUNG_MS = 10_500;
const [A, H] = [integers(20, 30, 1), integers(30, 10, 2)];
const SMALL = { operation: 'jvp', operands: { A: inline(A) }, direction: inline(H) };

/** A snapshot: no process goes on while it is taken, as none does for the volume's own. */
async function snapshot(stack: Stack, target: string): Promise<void> {
  const pids = [stack.gateway.pid, ...stack.workers.map(({ pid }) => pid)];
  for (const pid of pids) process.kill(pid, 'SIGSTOP');
  try {
    await cp(join(stack.dataDir, 'store'), target, { recursive: true });
  } finally {
    for (const pid of pids) process.kill(pid, 'SIGCONT');
  }
}

/** The parts of a job that must come back as they were. */
function lasting({ state, result, verification, finishedAt, labels }: JobDocument) {
  return { state, result, verification, finishedAt, labels };
}

async function listJobs(client: ReturnType<typeof createClient>): Promise<JobDocument[]> {
  const { data } = (await (await client.get('/v1/jobs?limit=100')).json()) as { data: JobDocument[] };
  return data;
}

test('a store copied under load comes back whole beside an empty Redis', async context => {
  const copy = join(await temporaryFolder(context), 'store');
  const first = await startStack({ env: SETTINGS });
  context.after(() => first.stop());
  const client = createClient(first.url);
  const finished = await client.compute({ ...SMALL, labels: { run: '42' } });
  const large = await client.submit(await outerProductJob(client));
  const submittedAt = performance.now();
  const { progress } = await client.until(large.id, job => job.progress.blocksDone > 0);
  // Uploads and jobs go on while the snapshot is taken.
  const load = Array.from({ length: 8 }, () => client.submit(SMALL));
  await Promise.race(load);
  await snapshot(first, copy);
  await Promise.all(load);
  await first.stop();

  await sleep(Math.max(0, YOUNG_MS - (performance.now() - submittedAt)));
  const second = await startStack({ env: { ...SETTINGS, FRECHET_STORE: `file:${copy}` } });
  context.after(() => second.stop());
  const restored = createClient(second.url);
  assert.deepEqual(lasting(await restored.read(finished.id)), lasting(finished));
  await assertResult(restored, finished.id, product(A, H));
  const there = await restored.read(large.id);
  assert.ok(there.progress.blocksDone >= progress.blocksDone, 'blocks that were stored are not lost');
  for (const { id } of await listJobs(restored)) {
    const ended = await restored.until(id);
    assert.equal(ended.state, 'succeeded', JSON.stringify(ended.error));
    if (id !== large.id) await assertResult(restored, id, product(A, H));
  }
  assert.equal((await restored.read(large.id)).progress.blocksDone, OUTER_BLOCKS);
  await assertOuterProduct(restored, large.id);
  const next = await restored.compute(SMALL);
  await assertResult(restored, next.id, product(A, H));
});
