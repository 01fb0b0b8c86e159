import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { anonymousTenants, type TenantLimits } from '../../../api/auth/tenants.ts';
import { acceptBatch } from '../../../api/batches/accept.ts';
import type { GatewayDeps } from '../../../api/deps.ts';
import { requireQueue } from '../../../api/jobs/admit.ts';
import { ArrivingBytes } from '../../../api/jobs/arriving-bytes.ts';
import { createDrainRate } from '../../../api/jobs/drain-rate.ts';
import { refreshLoadGauges } from '../../../api/jobs/load-gauges.ts';
import { removeJob } from '../../../api/jobs/remove.ts';
import { createSmallJobs } from '../../../api/jobs/small-jobs.ts';
import { createStoredBytes } from '../../../api/jobs/stored-bytes.ts';
import { submitJob } from '../../../api/jobs/submit.ts';
import type { FrechetError } from '../../../shared/errors.ts';
import {
  EVENT_LOOP_DELAY_MS_MAX,
  QUEUE_AGE_SECONDS_MAX,
  STORE_RESERVE_BYTES_MAX,
  TENANT_JOBS_MAX,
} from '../../../shared/job/limits.ts';
import { startTestRedis, type TestRedis } from '../../support/redis.ts';
import { endJob, startGateway, type TestGateway } from '../gateway.ts';

let redis: TestRedis;
let gateway: TestGateway;

before(async () => {
  redis = await startTestRedis();
  gateway = await startGateway(redis.url);
});
after(async () => {
  await gateway.close();
  await redis.stop();
});

/** A 1×2 by a 2×1: four flops, eight bytes. */
const SUBMISSION = {
  body: { operation: 'value', operands: { A: { data: [[1, 2]] }, W: { data: [[1], [2]] } } },
  digest: 'a'.repeat(64),
  parts: new Map(),
};

/** A gateway that is different in this. */
function changed(change: Partial<GatewayDeps>): GatewayDeps {
  const deps = { ...gateway.deps, ...change };
  return { ...deps, smallJobs: createSmallJobs(deps) };
}

/** Submitting is refused with the code, and store and backlog stay as they are. */
async function assertRefused(change: Partial<GatewayDeps>, code: string, tenant = 'default') {
  const filesBefore = await gateway.storedFiles();
  const loadBefore = await gateway.deps.live.load();
  let refusal: FrechetError | undefined;
  await assert.rejects(submitJob(changed(change), tenant, SUBMISSION), (error: FrechetError) => {
    refusal = error;
    return error.code === code;
  });
  assert.deepEqual(await gateway.storedFiles(), filesBefore);
  assert.deepEqual(await gateway.deps.live.load(), loadBefore);
  return refusal!.context;
}

function limited(limits: Partial<TenantLimits>): Partial<GatewayDeps> {
  const tenants = {
    ...anonymousTenants(),
    limitsOf: () => ({ ...anonymousTenants().limitsOf(''), ...limits }),
  };
  return { tenants, storedBytes: createStoredBytes({ ...gateway.deps, tenants }) };
}

const submit = (change: Partial<GatewayDeps>, tenant: string) =>
  submitJob(changed(change), tenant, SUBMISSION);

/** Of workers that do jobs at once, and so many flops a second. */
function drainingFlops(perSecond: number): GatewayDeps['drainRate'] {
  let nowMs = 0;
  const rate = createDrainRate(() => nowMs);
  rate.observe({ jobsDone: 0, flopsDone: 0 });
  nowMs = 10_000;
  rate.observe({ jobsDone: 1e9, flopsDone: 10 * perSecond });
  return { ...rate, observe: () => undefined };
}

test('a tenant may have so many unfinished jobs, whatever others have', async () => {
  const two = limited({ queuedJobs: 2 });
  const first = await submit(two, 'jobs');
  await submit(two, 'jobs');
  const refusal = await assertRefused(two, 'too-many-requests', 'jobs');
  assert.deepEqual([refusal.limit, refusal.requested], [2, 3]);
  assert.ok(refusal.retryAfterSeconds! >= 1);
  await submit(two, 'other');
  await endJob(gateway, first.spec);
  await submit(two, 'jobs');
});

test('by default they are a hundred thousand', () => {
  assert.equal(anonymousTenants().limitsOf('default').queuedJobs, TENANT_JOBS_MAX);
  assert.equal(TENANT_JOBS_MAX, 100_000);
});

test('a tenant may have so many flops waiting', async () => {
  const seven = limited({ queuedFlops: 7n });
  await submit(seven, 'flops');
  const refusal = await assertRefused(seven, 'too-many-requests', 'flops');
  assert.deepEqual([refusal.limit, refusal.requested], ['7', '8']);
  await submit(limited({ queuedFlops: 8n }), 'flops');
});

test('of two submissions at once that both would fit alone, one is accepted', async () => {
  const one = limited({ queuedJobs: 1 });
  const results = await Promise.allSettled([submit(one, 'race'), submit(one, 'race'), submit(one, 'race')]);
  assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 1);
});

test('a tenant may store so many bytes; deleting a job frees its result', async () => {
  const twenty = limited({ storedBytes: 20 });
  const { spec } = await submit(twenty, 'bytes');
  await submit(twenty, 'bytes');
  const refusal = await assertRefused(twenty, 'too-many-requests', 'bytes');
  assert.deepEqual([refusal.limit, refusal.requested], [20, 24]);
  await endJob(gateway, spec);
  await removeJob({ ...gateway.deps, ...twenty }, 'bytes', spec.id);
  await submit(twenty, 'bytes');
  await assertRefused(twenty, 'too-many-requests', 'bytes');
});

test('of many deletions of a job at once one frees its result, and to the others it is absent', async () => {
  const deps = changed(limited({ storedBytes: 1000 }));
  const stored = async () => deps.live.storedBytes('deletions');
  // One that lies by itself, as those with a key do, and a group of one and of two.
  const jobs = [
    await submitJob(deps, 'deletions', SUBMISSION, 'key'),
    ...(await Promise.all([1, 2, 3].map(() => submitJob(deps, 'deletions', SUBMISSION)))),
  ];
  for (const { spec } of jobs) {
    await endJob(gateway, spec);
    const before = await stored();
    const answers = await Promise.allSettled(
      Array.from({ length: 30 }, () => removeJob(deps, 'deletions', spec.id)),
    );
    const refused = answers.filter(answer => answer.status === 'rejected');
    assert.deepEqual(new Set(refused.map(({ reason }) => reason.code)), new Set(['not-found']));
    assert.equal(refused.length, 29);
    assert.equal(await stored(), before! - 8);
  }
});

test('what a tenant had stored before anybody counted is measured', async () => {
  await submit({}, 'measured');
  await submit({}, 'measured');
  await assertRefused(limited({ storedBytes: 23 }), 'too-many-requests', 'measured');
  assert.equal(await gateway.deps.live.storedBytes('measured'), 16);
  await submit(limited({ storedBytes: 24 }), 'measured');
});

test('a batch of nothing but rejected lines is weighed, counted and measured as what it stores', async () => {
  async function* lines() {
    for (let number = 1; number <= 10; number += 1) yield { number, document: { body: number } };
  }
  const send = (change: Partial<GatewayDeps>) =>
    acceptBatch(changed(change), 'rejected', lines(), undefined, () => '');
  const { footer } = await send({});
  assert.equal(footer.rejected, 10);
  const two = limited({ storedBytes: 2 * footer.bytes });
  await send(two);
  const [filesBefore, storedBefore] = [
    await gateway.storedFiles(),
    await gateway.deps.live.storedBytes('rejected'),
  ];
  assert.ok(Math.abs(storedBefore! - 2 * footer.bytes) <= 10, `${storedBefore} bytes are counted`);
  await assert.rejects(send(two), { code: 'too-many-requests' });
  const usage = async () => ({ freeBytes: STORE_RESERVE_BYTES_MAX + 100, totalBytes: 2 ** 40 });
  await assert.rejects(send({ store: { ...gateway.deps.store, usage } }), { code: 'store-full' });
  assert.deepEqual(await gateway.storedFiles(), filesBefore);
  assert.equal(await gateway.deps.live.storedBytes('rejected'), storedBefore);
});

test('where the oldest waiting job has waited too long nothing new is accepted', async () => {
  const { live, clock } = gateway.deps;
  const { oldestWaiting } = await live.pressure();
  assert.ok(oldestWaiting !== undefined, 'jobs of the tests before wait');
  const later = (ms: number) => ({ clock: () => clock() + ms });
  const refusal = await assertRefused(later((QUEUE_AGE_SECONDS_MAX + 1) * 1000), 'system-busy');
  assert.equal(refusal.limit, QUEUE_AGE_SECONDS_MAX);
  const { backlogFlops } = await live.load();
  const busy = {
    ...later((QUEUE_AGE_SECONDS_MAX + 1) * 1000),
    drainRate: drainingFlops(backlogFlops / 29.5),
  };
  assert.equal(
    (await assertRefused(busy, 'system-busy')).retryAfterSeconds,
    30,
    'all that waits is done then',
  );
  await submit(later((QUEUE_AGE_SECONDS_MAX - 60) * 1000), 'default');
});

test('a gateway whose event loop is behind takes no new work', async () => {
  const { redisFault } = gateway.deps;
  await requireQueue({ redisFault, loopDelayMs: () => EVENT_LOOP_DELAY_MS_MAX });
  const delayed = { redisFault, loopDelayMs: () => EVENT_LOOP_DELAY_MS_MAX + 1 };
  await assert.rejects(requireQueue(delayed), { code: 'system-busy' });
});

test('a result that the store has no room for is refused', async () => {
  const withFree = (freeBytes: number) => ({
    store: { ...gateway.deps.store, usage: async () => ({ freeBytes, totalBytes: 2 ** 40 }) },
  });
  const owed = await gateway.deps.live.owedBytes();
  await assertRefused(withFree(STORE_RESERVE_BYTES_MAX + owed + 7), 'store-full');
  await submit(withFree(STORE_RESERVE_BYTES_MAX + owed + 8), 'default');
  assert.equal(await gateway.deps.live.owedBytes(), owed + 8);
  await assertRefused(withFree(STORE_RESERVE_BYTES_MAX + owed + 8), 'store-full');
});

test('a result leaves room for uploads under way', async () => {
  const { live, store } = gateway.deps;
  const freeBytes = STORE_RESERVE_BYTES_MAX + (await live.owedBytes()) + 8;
  const arriving = new ArrivingBytes();
  const room = { arriving, store: { ...store, usage: async () => ({ freeBytes, totalBytes: 2 ** 40 }) } };
  const arrival = arriving.expect(1);
  await assertRefused(room, 'store-full');
  arrival.end();
  // An upload that begins while a job is being weighed is seen where the job takes its place.
  let late = { end: () => undefined as unknown };
  const pressure = async () => {
    late = arriving.expect(1);
    return live.pressure();
  };
  await assertRefused({ ...room, live: { ...live, pressure } }, 'store-full');
  late.end();
  await submit(room, 'default');
});

test('of two jobs that see the same room at the same time it holds one', async () => {
  const { live, store } = gateway.deps;
  const owed = await live.owedBytes();
  const usage = async () => ({ freeBytes: STORE_RESERVE_BYTES_MAX + owed + 8, totalBytes: 2 ** 40 });
  // Both are told what was owed before either came.
  const room = { store: { ...store, usage }, live: { ...live, owedBytes: async () => owed } };
  await submit(room, 'default');
  const { limit, requested } = await assertRefused(room, 'store-full');
  assert.deepEqual([limit, requested], [0, 8]);
});

test('where the load cannot be known nothing is accepted', async () => {
  const lost = () => Promise.reject(new Error('Connection is closed.'));
  await assertRefused({ live: { ...gateway.deps.live, pressure: lost } }, 'unavailable');
  await assertRefused({ live: { ...gateway.deps.live, admit: lost } }, 'unavailable');
});

test('a job that could not be stored gives its place back', async () => {
  const write = () => ({
    add: async () => undefined,
    commit: () => Promise.reject(new Error('no space')),
    discard: async () => undefined,
  });
  const full = { batches: { write, footer: async () => undefined } } as unknown as GatewayDeps['jobs']; // as much as storing asks
  const before = await gateway.deps.live.load();
  await assert.rejects(submit({ jobs: full }, 'default'), /no space/);
  assert.deepEqual(await gateway.deps.live.load(), before);
});

test('the time to come again follows from what was done in the last minute', () => {
  let nowMs = 0;
  const rate = createDrainRate(() => nowMs);
  assert.equal(rate.secondsFor({ jobs: 5 }), 10, 'nothing is known');
  rate.observe({ jobsDone: 100, flopsDone: 0 });
  nowMs = 10_000;
  rate.observe({ jobsDone: 120, flopsDone: 5000 });
  assert.equal(rate.secondsFor({ jobs: 5 }), 3);
  assert.equal(rate.secondsFor({ flops: 10_000 }), 20);
  assert.equal(rate.secondsFor({ jobs: 5, flops: 10_000 }), 20);
  assert.equal(rate.secondsFor({ jobs: 1e9 }), 600);
  nowMs = 75_000;
  rate.observe({ jobsDone: 120, flopsDone: 5000 });
  assert.equal(rate.secondsFor({ jobs: 5 }), 10, 'the window has passed');
  nowMs = 80_000;
  rate.observe({ jobsDone: 3, flopsDone: 0 });
  assert.equal(rate.secondsFor({ jobs: 5 }), 10, 'the counts began anew');
});

test('submitted jobs are counted by operation, and the gauges show the load', async () => {
  const { metrics, live } = gateway.deps;
  const before = (await metrics.frechet_jobs_submitted_total.get()).values[0]?.value ?? 0;
  await submit({}, 'default');
  const counter = await metrics.frechet_jobs_submitted_total.get();
  assert.deepEqual(counter.values, [{ labels: { operation: 'value' }, value: before + 1 }]);
  await refreshLoadGauges(gateway.deps);
  const { queued, backlogFlops } = await live.load();
  assert.deepEqual((await metrics.frechet_jobs.get()).values, [
    { labels: { state: 'queued' }, value: queued },
    { labels: { state: 'running' }, value: 0 },
  ]);
  assert.equal((await metrics.frechet_backlog_flops.get()).values[0]?.value, backlogFlops);
  assert.ok(queued >= 3 && backlogFlops >= 12);
});

test('a scrape without Redis shows that the load is not known', async () => {
  const { metrics, live } = gateway.deps;
  const load = () => Promise.reject(new Error('Connection is closed.'));
  await refreshLoadGauges({ ...gateway.deps, live: { ...live, load } });
  for (const { value } of (await metrics.frechet_jobs.get()).values) assert.ok(Number.isNaN(value));
});
