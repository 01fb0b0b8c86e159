// Real processes that die over a block: its job fails, and those whose blocks lay beside it succeed.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { ulid } from 'ulid';
import { JobStore } from '../../shared/io/job-store.ts';
import { createOpenJobs } from '../../shared/io/open-jobs.ts';
import { createWorkQueue } from '../../shared/io/queue.ts';
import { connectRedis } from '../../shared/io/redis.ts';
import { openFileStore } from '../../shared/io/store/file-store.ts';
import { planJob } from '../../shared/job/job-plan.ts';
import type { JobSpec } from '../../shared/job/spec.ts';
import { DEATHS_MAX } from '../../workers/suspects.ts';
import { startTestRedis } from '../support/redis.ts';
import { temporaryFolder } from '../support/temporary.ts';
import { DEADLY_BYTES } from './poisoned-worker.ts';

const WORKER = fileURLToPath(new URL('./poisoned-worker.js', import.meta.url));
const INNOCENTS = 3;
const POLL_MS = 50;
const LIVES_MAX = 3 * DEATHS_MAX;

/** A·H of n×n zeros. */
function productOf(n: number): JobSpec {
  const shape = { rows: n, cols: n };
  const inline = Buffer.alloc(n * n * 8).toString('base64');
  const source = { inline, dtype: 'float64', order: 'C' } as const;
  return {
    version: 1,
    id: ulid(),
    tenant: 'default',
    operation: 'jvp',
    expression: 'A*W',
    wrt: 'W',
    operands: { A: { shape, source }, W: { shape } },
    direction: { shape, source },
    dtype: 'float64',
    reproducible: false,
    seed: 0,
    labels: {},
    priority: 0,
    expiresIn: 3600,
    createdAt: new Date().toISOString(),
    blockLimits: { bytes: 2 ** 20, flops: '1000000000', workingSetBytes: 2 ** 30 },
  };
}

test('a block that kills its workers fails its job and nobody else’s', async context => {
  const redis = await startTestRedis();
  context.after(() => redis.stop());
  const root = await temporaryFolder(context);
  const store = await openFileStore(root);
  const jobs = new JobStore(store);
  const connection = connectRedis(redis.url, 'producer', () => undefined);
  context.after(() => connection.disconnect());
  await once(connection, 'ready');
  const queue = createWorkQueue(connection);

  const poison = productOf(Math.ceil(Math.sqrt(DEADLY_BYTES / 8)));
  const specs = [poison, ...Array.from({ length: INNOCENTS }, () => productOf(2))];
  for (const spec of specs) {
    await createOpenJobs(store).add(spec.tenant, spec.id);
    await jobs.createSpec(spec);
    assert.equal(planJob(spec).blocksTotal, 1);
    await queue.enqueue(spec, [0], 1);
  }
  const outcomes = () => Promise.all(specs.map(({ tenant, id }) => jobs.readOutcome(tenant, id)));

  let deaths = 0;
  let isOver = false;
  for (let life = 1; !isOver; life += 1) {
    assert.ok(life <= LIVES_MAX, 'the block is found out');
    const worker = spawn(process.execPath, [WORKER, redis.url, root], { stdio: 'inherit' });
    const death = once(worker, 'exit');
    while (worker.exitCode === null && worker.signalCode === null && !isOver) {
      await sleep(POLL_MS);
      isOver = (await outcomes()).every(outcome => outcome !== undefined);
    }
    if (!isOver) deaths += 1;
    worker.kill('SIGKILL');
    await death;
  }
  const [poisoned, ...others] = await outcomes();
  assert.equal(poisoned?.state, 'failed');
  assert.equal(poisoned.problem.code, 'block-poisoned');
  assert.deepEqual(
    others.map(outcome => outcome?.state),
    others.map(() => 'succeeded'),
  );
  // The first death was in company, and nobody knows whose doing it was.
  assert.equal(deaths, 1 + DEATHS_MAX);
});
