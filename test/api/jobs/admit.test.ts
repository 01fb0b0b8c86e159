import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { GatewayDeps } from '../../../api/deps.ts';
import { TENANT_JOBS_MAX } from '../../../api/jobs/admit.ts';
import { refreshLoadGauges } from '../../../api/jobs/load-gauges.ts';
import { submitJob } from '../../../api/jobs/submit.ts';
import { startTestRedis, type TestRedis } from '../../support/redis.ts';
import { startGateway, type TestGateway } from '../gateway.ts';

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

const SUBMISSION = {
  body: { operation: 'value', operands: { A: { data: [[1, 2]] }, W: { data: [[1], [2]] } } },
  parts: new Map(),
};

/** Submitting is refused with the code, and the store stays as it is. */
async function assertRefused(change: Partial<GatewayDeps>, code: string) {
  const filesBefore = await gateway.storedFiles();
  await assert.rejects(submitJob({ ...gateway.deps, ...change }, 'default', SUBMISSION), { code });
  assert.deepEqual(await gateway.storedFiles(), filesBefore);
}

const loadOf = (queued: number, running: number) => ({
  live: { ...gateway.deps.live, load: async () => ({ queued, running, backlogFlops: 0 }) },
});

test('one job too many is refused, the last one that fits is not', async () => {
  await assertRefused(loadOf(TENANT_JOBS_MAX - 1, 1), 'too-many-requests');
  const { spec } = await submitJob(
    { ...gateway.deps, ...loadOf(TENANT_JOBS_MAX - 2, 1) },
    'default',
    SUBMISSION,
  );
  assert.equal(spec.operation, 'value');
});

test('a result that the store has no room for is refused', async () => {
  const withFree = (freeBytes: number) => ({
    store: { ...gateway.deps.store, usage: async () => ({ freeBytes, totalBytes: 2 ** 40 }) },
  });
  await assertRefused(withFree(7), 'store-full');
  await submitJob({ ...gateway.deps, ...withFree(8) }, 'default', SUBMISSION);
});

test('where the load cannot be known nothing is accepted', async () => {
  const load = () => Promise.reject(new Error('Connection is closed.'));
  await assertRefused({ live: { ...gateway.deps.live, load } }, 'unavailable');
});

test('submitted jobs are counted by operation, and the gauges show the load', async () => {
  const { metrics, live } = gateway.deps;
  const before = (await metrics.frechet_jobs_submitted_total.get()).values[0]?.value ?? 0;
  await submitJob(gateway.deps, 'default', SUBMISSION);
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
