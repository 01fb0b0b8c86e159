// The end of a job over a real store and real Redis: complete or not at all, once, and told.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, describe, type TestContext, test } from 'node:test';
import { FrechetError } from '../../shared/errors.ts';
import { createLive } from '../../shared/io/live.ts';
import { createOpenJobs } from '../../shared/io/open-jobs.ts';
import { connectRedis } from '../../shared/io/redis.ts';
import type { ComponentwiseBound, ErrorBound } from '../../shared/job/outcome.ts';
import { type FinishDeps, failJob, finalProblem, finishJob, succeeded } from '../../workers/finish-job.ts';
import { runBlock } from '../../workers/run-block.ts';
import { integers } from '../support/integers.ts';
import { startTestRedis, type TestRedis } from '../support/redis.ts';
import { createRig, putJob, type Rig, ROOMY, TENANT, upload, workOf } from './rig.ts';

let redis: TestRedis;
before(async () => {
  redis = await startTestRedis();
});
after(() => redis.stop());

const NOW = Date.parse('2026-11-23T12:00:00.000Z');

async function createFixture(t: TestContext, url = redis.url): Promise<{ rig: Rig; deps: FinishDeps }> {
  const rig = await createRig(t);
  const connection = connectRedis(url, 'producer', () => undefined);
  t.after(() => connection.disconnect());
  if (url === redis.url) await new Promise(resolve => connection.once('ready', resolve));
  const { jobs, metrics, log } = rig.deps;
  const deps = {
    jobs,
    metrics,
    log,
    openJobs: createOpenJobs(rig.store),
    live: createLive(connection),
    clock: () => NOW,
  };
  return { rig, deps };
}

/** A job of four blocks. */
async function fourBlocks(rig: Rig, deps: FinishDeps) {
  const job = await putJob(rig, {
    operation: 'jvp',
    operands: { A: await upload(rig, integers(4, 3, 1)) },
    direction: await upload(rig, integers(3, 2, 2)),
    blockLimits: { ...ROOMY, bytes: 16 },
  });
  await deps.openJobs.add(TENANT, job.spec.id);
  assert.equal(job.plan.blocksTotal, 4);
  return job;
}

describe('finishing', () => {
  test('says of all elements what was said of the worst, and nothing where a block says nothing', async t => {
    const { rig, deps } = await createFixture(t);
    const job = await fourBlocks(rig, deps);
    for (let index = 0; index < 4; index++) await runBlock(rig.deps, workOf(job, index));
    const receipts = await Promise.all(
      [0, 1, 2, 3].map(async index => (await deps.jobs.readReceipt(TENANT, job.spec.id, index))!),
    );
    const outcome = (bounds: readonly (ComponentwiseBound | undefined)[]) => {
      const all = receipts.map((receipt, index) => ({
        ...receipt,
        errorBound: { absolute: 1, size: 10, ...(bounds[index] && { componentwise: bounds[index] }) },
      }));
      const { errorBound } = succeeded(deps, job.spec, job.plan, all) as { errorBound: ErrorBound };
      return errorBound;
    };
    const bounds = [3, 5, 4, 1].map(absolute => ({ absolute, relative: absolute / 8 }));
    assert.deepEqual(outcome(bounds), {
      absolute: 4,
      size: 40,
      componentwise: { absolute: 5, relative: 5 / 8 },
    });
    const withZero = bounds.with(2, { absolute: 4, relative: null as unknown as number });
    assert.deepEqual(outcome(withZero).componentwise, { absolute: 5, relative: null });
    assert.deepEqual(outcome(bounds.slice(1)), { absolute: 4, size: 40 });
  });

  test('ends nothing while blocks are missing, and says which', async t => {
    const { rig, deps } = await createFixture(t);
    const job = await fourBlocks(rig, deps);
    await runBlock(rig.deps, workOf(job, 2));
    assert.deepEqual(await finishJob(deps, job.spec, job.plan), [0, 1, 3]);
    assert.equal(await deps.jobs.readOutcome(TENANT, job.spec.id), undefined);
  });

  test('makes the manifest of all blocks, its digest and bytes as the contract says', async t => {
    const { rig, deps } = await createFixture(t);
    const job = await fourBlocks(rig, deps);
    for (const index of [3, 1, 0, 2]) await runBlock(rig.deps, workOf(job, index));
    assert.deepEqual(await finishJob(deps, job.spec, job.plan), []);
    const outcome = await deps.jobs.readOutcome(TENANT, job.spec.id);
    assert.ok(outcome?.state === 'succeeded');
    const digests = outcome.manifest.blocks.map(({ sha256 }) => Buffer.from(sha256, 'hex'));
    assert.equal(outcome.manifest.digest, createHash('sha256').update(Buffer.concat(digests)).digest('hex'));
    assert.deepEqual(
      outcome.manifest.blocks.map(({ rows, bytes }) => ({ rows, bytes })),
      [0, 1, 2, 3].map(row => ({ rows: [row, row + 1], bytes: 16 })),
    );
    assert.equal(outcome.manifest.bytes, 64 + 128, 'data and the header of the .npy');
    assert.equal(outcome.finishedAt, '2026-11-23T12:00:00.000Z');
    assert.equal(outcome.expiresAt, '2026-11-24T12:00:00.000Z');
    assert.deepEqual(await deps.openJobs.newestFirst(TENANT), []);
  });

  test('happens once, however often it is tried', async t => {
    const { rig, deps } = await createFixture(t);
    const job = await fourBlocks(rig, deps);
    for (const index of [0, 1, 2, 3]) await runBlock(rig.deps, workOf(job, index));
    await Promise.all([1, 2, 3].map(() => finishJob(deps, job.spec, job.plan)));
    assert.equal(await rig.counter('frechet_jobs_finished_total', { outcome: 'succeeded' }), 1);
  });

  test('loses against a cancellation that came first', async t => {
    const { rig, deps } = await createFixture(t);
    const job = await fourBlocks(rig, deps);
    const at = new Date(NOW).toISOString();
    await deps.jobs.putOutcome(job.spec, {
      state: 'cancelled',
      version: 1,
      finishedAt: at,
      expiresAt: at,
    });
    await failJob(deps, job.spec, { code: 'operand-lost', detail: 'gone', context: {} }, at);
    assert.equal((await deps.jobs.readOutcome(TENANT, job.spec.id))?.state, 'cancelled');
    assert.equal(await rig.counter('frechet_jobs_finished_total'), 0);
  });

  test('does not need Redis', async t => {
    const { rig, deps } = await createFixture(t, 'unix:/nowhere/redis.sock');
    const job = await fourBlocks(rig, deps);
    const at = new Date(NOW).toISOString();
    await failJob(deps, job.spec, { code: 'operand-lost', detail: 'gone', context: {} }, at);
    const outcome = await deps.jobs.readOutcome(TENANT, job.spec.id);
    assert.ok(outcome?.state === 'failed');
    assert.deepEqual(outcome.problem, { code: 'operand-lost', detail: 'gone', context: {} });
    assert.equal(outcome.startedAt, at);
  });
});

test('only what no retry can mend ends a job', () => {
  const lost = new FrechetError('operand-lost', 'gone', { limit: 3 });
  assert.deepEqual(finalProblem(lost), { code: 'operand-lost', detail: 'gone', context: { limit: 3 } });
  assert.equal(finalProblem(new FrechetError('verification-failed', ''))?.code, 'verification-failed');
  for (const code of ['unavailable', 'store-full', 'result-corrupt', 'system-busy'] as const)
    assert.equal(finalProblem(new FrechetError(code, '')), undefined);
  assert.equal(finalProblem(new Error('Redis is away')), undefined);
});
