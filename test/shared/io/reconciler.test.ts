import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { Queue } from 'bullmq';
import { ulid } from 'ulid';
import { removeJob } from '../../../api/jobs/remove.ts';
import { type BlockReference, QUEUE_NAME } from '../../../shared/io/queue.ts';
import { reconcile, startReconciler } from '../../../shared/io/reconciler.ts';
import { connectRedis, REDIS_PREFIX } from '../../../shared/io/redis.ts';
import { planJob } from '../../../shared/job/job-plan.ts';
import type { JobSpec } from '../../../shared/job/spec.ts';
import {
  endJob,
  finishBlock,
  postJson,
  startGateway,
  succeededOutcome,
  type TestGateway,
} from '../../api/gateway.ts';
import { startTestRedis, type TestRedis } from '../../support/redis.ts';

let redis: TestRedis;
let gateway: TestGateway;

beforeEach(async () => {
  redis = await startTestRedis();
  gateway = await startGateway(redis.url);
});
afterEach(async () => {
  await gateway.close();
  await redis.stop();
});

const MINUTE_MS = 60_000;

/** A job of `members` blocks that the store holds and the queue does not know. */
async function forgotten(members: number, ageMs = MINUTE_MS): Promise<JobSpec> {
  const nowMs = gateway.deps.clock();
  const source = { array: 'a'.repeat(64), dtype: 'float64', order: 'C' } as const;
  const shape = { rows: 1, cols: 1 };
  const spec: JobSpec = {
    version: 1,
    id: ulid(nowMs - ageMs),
    tenant: 'default',
    operation: 'jvp',
    expression: 'A*W',
    wrt: 'W',
    operands: { A: { shape, source }, W: { shape } },
    direction: { shape, members, source },
    dtype: 'float64',
    reproducible: false,
    seed: 0,
    labels: {},
    priority: 0,
    expiresIn: 3600,
    createdAt: new Date(nowMs - ageMs).toISOString(),
    // Room for one member in a block.
    blockLimits: { bytes: 8, flops: '2', workingSetBytes: 2 ** 30 },
  };
  assert.equal(planJob(spec).blocksTotal, members, 'a block for each member');
  await gateway.deps.openJobs.add(spec.tenant, spec.id);
  await gateway.deps.jobs.createSpec(spec);
  return spec;
}

/** What waits in the queue, as blocks; null is a finish. */
async function queued(): Promise<(number | null)[]> {
  const connection = connectRedis(redis.url, 'consumer', () => undefined);
  const queue = new Queue<BlockReference>(QUEUE_NAME, { connection, prefix: REDIS_PREFIX });
  const entries = await queue.getJobs(['prioritized', 'waiting', 'waiting-children', 'delayed']);
  await queue.close();
  connection.disconnect();
  return entries.map(entry => entry.data.block).sort((a, b) => (a ?? -1) - (b ?? -1));
}

const isKnown = (spec: JobSpec) => gateway.deps.queue.knows(spec, planJob(spec).blocksTotal);

test('a job that the queue forgot is enqueued, once', async () => {
  const spec = await forgotten(3);
  assert.equal(await isKnown(spec), false);
  assert.deepEqual(await reconcile(gateway.deps), { enqueued: 1, closed: 0, skipped: 0 });
  assert.equal(await isKnown(spec), true);
  assert.deepEqual(await queued(), [null, 0, 1, 2]);
  assert.equal((await gateway.deps.live.load()).backlogFlops, 6);
  assert.deepEqual(await reconcile(gateway.deps), { enqueued: 0, closed: 0, skipped: 0 });
  assert.deepEqual(await queued(), [null, 0, 1, 2]);
});

test('only missing blocks are enqueued', async () => {
  const spec = await forgotten(4);
  await finishBlock(gateway, spec, 1);
  await finishBlock(gateway, spec, 3);
  await reconcile(gateway.deps);
  assert.deepEqual(await queued(), [null, 0, 2]);
  assert.equal((await gateway.deps.live.load()).backlogFlops, 4);
});

test('a job whose blocks are all there lacks its finish', async () => {
  const spec = await forgotten(2);
  await finishBlock(gateway, spec, 0);
  await finishBlock(gateway, spec, 1);
  await reconcile(gateway.deps);
  assert.deepEqual(await queued(), [null]);
});

test('a job of one block is enqueued as that block, which also ends it', async () => {
  const spec = await forgotten(1);
  await finishBlock(gateway, spec, 0);
  await reconcile(gateway.deps);
  assert.deepEqual(await queued(), [0]);
});

test('a job that is just being enqueued is left alone', async () => {
  const spec = await forgotten(2, 1_000);
  assert.deepEqual(await reconcile(gateway.deps), { enqueued: 0, closed: 0, skipped: 0 });
  assert.equal(await isKnown(spec), false);
  gateway.time.offsetMs = 10_000;
  assert.equal((await reconcile(gateway.deps)).enqueued, 1);
});

test('a finished job leaves the index and the backlog, also at once', async () => {
  const spec = await forgotten(2, 0);
  await gateway.deps.live.noteEnqueued(spec.tenant, spec.id, { flops: 4n, bytes: 32 });
  await gateway.deps.jobs.putOutcome(spec, succeededOutcome(spec, spec.createdAt, spec.createdAt));
  assert.deepEqual(await reconcile(gateway.deps), { enqueued: 0, closed: 1, skipped: 0 });
  assert.deepEqual(await gateway.deps.openJobs.newestFirst('default'), []);
  assert.deepEqual(await gateway.deps.live.load(), { queued: 0, running: 0, backlogFlops: 0 });
  assert.deepEqual(await queued(), []);
});

test('a marker without a job is swept when it is old', async () => {
  const young = ulid(gateway.deps.clock() - 30_000);
  const old = ulid(gateway.deps.clock() - 61_000);
  await gateway.deps.openJobs.add('default', young);
  await gateway.deps.openJobs.add('default', old);
  assert.deepEqual(await reconcile(gateway.deps), { enqueued: 0, closed: 1, skipped: 0 });
  assert.deepEqual(await gateway.deps.openJobs.newestFirst('default'), [young]);
});

test('a job that cannot be read keeps nobody waiting', async () => {
  const damaged = await forgotten(1, 3 * MINUTE_MS);
  const sound = await forgotten(1, 2 * MINUTE_MS);
  await gateway.deps.store.put(`tenants/default/jobs/${damaged.id.slice(0, 6)}/${damaged.id}/spec`, [], {
    exclusive: false,
  });
  await gateway.deps.openJobs.add('default', 'no-ulid');
  assert.deepEqual(await reconcile(gateway.deps), { enqueued: 1, closed: 0, skipped: 2 });
  assert.equal(await isKnown(sound), true);
});

test('without Redis a pass breaks off', async () => {
  await forgotten(1);
  await redis.kill();
  await assert.rejects(reconcile(gateway.deps));
  await redis.restart();
});

test('many reconcilers at once do the work of one', async () => {
  const specs = await Promise.all([forgotten(2), forgotten(2), forgotten(1)]);
  await Promise.all(Array.from({ length: 5 }, () => reconcile(gateway.deps)));
  assert.deepEqual(await queued(), [null, null, 0, 0, 0, 1, 1]);
  assert.equal((await gateway.deps.live.load()).backlogFlops, 10);
  for (const spec of specs) assert.equal(await isKnown(spec), true);
});

test('losing all of Redis loses no job', async () => {
  const spec = await forgotten(2);
  await reconcile(gateway.deps);
  await finishBlock(gateway, spec, 0);
  const connection = connectRedis(redis.url, 'consumer', () => undefined);
  await connection.flushall();
  connection.disconnect();
  assert.equal(await isKnown(spec), false);
  await reconcile(gateway.deps);
  assert.deepEqual(await queued(), [null, 1]);
  await endJob(gateway, spec);
});

test('a started reconciler works at once, and its stop waits for the pass under way', async () => {
  const spec = await forgotten(1);
  const reconciler = startReconciler(gateway.deps);
  await reconciler.stop();
  assert.equal(await isKnown(spec), true);
});

test('a job that ended and was deleted while Redis was away leaves no backlog behind', async () => {
  const spec = await forgotten(2, 2 * MINUTE_MS);
  await gateway.deps.live.noteEnqueued(spec.tenant, spec.id, { flops: 4n, bytes: 32 });
  const outcome = succeededOutcome(spec, spec.createdAt, spec.createdAt);
  await gateway.deps.jobs.putOutcome(spec, outcome);
  await removeJob(gateway.deps, spec.tenant, spec.id);
  assert.deepEqual(await reconcile(gateway.deps), { enqueued: 0, closed: 1, skipped: 0 });
  assert.deepEqual(await gateway.deps.live.load(), { queued: 0, running: 0, backlogFlops: 0 });
});

test('a place in the backlog whose job never came is given back, once nobody can still bring it', async () => {
  const { live, clock } = gateway.deps;
  const limits = {
    tenantJobsMax: 10,
    tenantFlopsMax: undefined,
    systemFlopsMax: 100n,
    storeBytesMax: undefined,
  };
  const place = { tenant: 'default', id: ulid(clock() - 50_000), jobs: 3, flops: 7n, bytes: 0 };
  assert.equal(await live.admit(place, limits), undefined);
  const spec = await forgotten(1);
  await reconcile(gateway.deps);
  assert.equal((await live.load()).backlogFlops, 9);
  gateway.time.offsetMs = 20_000;
  await reconcile(gateway.deps);
  assert.equal((await live.load()).backlogFlops, 2);
  assert.deepEqual(await live.areEnqueued([spec.id, place.id]), [true, false]);
});

test('a place whose job never came is given back also while a group of small jobs is open', async () => {
  const { live, clock, openJobs } = gateway.deps;
  const [tenantJobsMax, systemFlopsMax] = [10, 100n];
  const limits = { tenantJobsMax, tenantFlopsMax: undefined, systemFlopsMax, storeBytesMax: undefined };
  const lost = { tenant: 'default', id: ulid(clock() - 2 * MINUTE_MS), jobs: 1, flops: 2n, bytes: 0 };
  assert.equal(await live.admit(lost, limits), undefined);
  const small = { operation: 'jvp', operands: { A: { data: [[1]] } }, direction: { data: [[1]] } };
  assert.equal((await postJson(`${gateway.url}/v1/jobs`, small)).status, 202);
  assert.equal((await openJobs.batches('default')).length, 1, 'the job is a line of a group');
  await reconcile(gateway.deps);
  assert.deepEqual(await live.areEnqueued([lost.id]), [false]);
  assert.equal((await live.load()).queued, 1);
});
