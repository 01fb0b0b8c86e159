import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { cancelJob } from '../../../api/jobs/cancel.ts';
import { JobStore } from '../../../shared/io/job-store.ts';
import type { LiveEvent } from '../../../shared/io/live.ts';
import { subscribeLive } from '../../../shared/io/live.ts';
import { reconcile } from '../../../shared/io/reconciler.ts';
import { connectRedis } from '../../../shared/io/redis.ts';
import { startTestRedis, type TestRedis } from '../../support/redis.ts';
import { endJob, jobIn, postJson, specOf, startGateway, type TestGateway } from '../gateway.ts';
import { assertProblem } from '../problem-assertions.ts';

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

async function submitted(): Promise<string> {
  const body = { operation: 'value', operands: { A: { data: 2 }, W: { data: 3 } }, expiresIn: 100 };
  return (await jobIn(await postJson(`${gateway.url}/v1/jobs`, body))).id;
}

const cancel = (id: string) => postJson(`${gateway.url}/v1/jobs/${id}/cancel`, '');
const remove = (id: string) => fetch(`${gateway.url}/v1/jobs/${id}`, { method: 'DELETE' });

test('cancelling ends a queued job, tells everybody, and may be repeated', async () => {
  const heard: LiveEvent[] = [];
  const subscriber = connectRedis(redis.url, 'subscriber', () => undefined);
  await subscribeLive(subscriber, event => void heard.push(event));
  const id = await submitted();
  const response = await cancel(id);
  assert.equal(response.status, 200);
  const document = await jobIn(response);
  assert.equal(document.state, 'cancelled');
  assert.equal(document.startedAt, null);
  assert.ok(document.finishedAt !== null && document.finishedAt >= document.createdAt);
  assert.equal(Date.parse(document.expiresAt ?? ''), Date.parse(document.finishedAt) + 100_000);
  assert.equal(document.result, null);
  assert.equal(document.error, null);
  await reconcile(gateway.deps);
  assert.deepEqual(await gateway.deps.openJobs.newestFirst('default'), []);
  assert.deepEqual(await gateway.deps.live.load(), { queued: 0, running: 0, backlogFlops: 0 });

  const again = await cancel(id);
  assert.equal(again.status, 200);
  assert.deepEqual(await jobIn(again), document);
  // One connection carries its messages in order, so a second publication arrives after the first.
  while (heard.length === 0) await new Promise(resolve => setTimeout(resolve, 5));
  assert.deepEqual(heard, [{ type: 'cancel', tenant: 'default', jobId: id }]);
  subscriber.disconnect();
});

test('a cancelled job that had begun keeps the time of its beginning', async () => {
  const id = await submitted();
  const startedMs = Date.now();
  await gateway.deps.live.noteStarted(id, startedMs);
  assert.equal((await jobIn(await cancel(id))).startedAt, new Date(startedMs).toISOString());
});

test('many cancels at once have one effect', async () => {
  const { frechet_jobs_finished_total: finished } = gateway.deps.metrics;
  const countNow = async () => (await finished.get()).values.reduce((sum, { value }) => sum + value, 0);
  const countBefore = await countNow();
  const id = await submitted();
  const answers = await Promise.all(Array.from({ length: 10 }, () => cancel(id)));
  assert.deepEqual(
    answers.map(({ status }) => status),
    Array.from({ length: 10 }, () => 200),
  );
  assert.equal(await countNow(), countBefore + 1);
  assert.deepEqual((await finished.get()).values[0]?.labels, { operation: 'value', outcome: 'cancelled' });
});

test('a job that succeeded or failed cannot be cancelled', async () => {
  const succeeded = await submitted();
  await endJob(gateway, await specOf(gateway, succeeded));
  await assertProblem(await cancel(succeeded), 'job-finished');
  const failed = await submitted();
  const now = new Date().toISOString();
  const problem = { code: 'operand-lost', detail: 'gone', context: {} } as const;
  await endJob(gateway, await specOf(gateway, failed), {
    version: 1,
    state: 'failed',
    finishedAt: now,
    expiresAt: now,
    problem,
  });
  await assertProblem(await cancel(failed), 'job-finished');
  assert.equal((await jobIn(await fetch(`${gateway.url}/v1/jobs/${failed}`))).state, 'failed');
});

test('an unfinished job cannot be deleted; a finished one is gone with everything of it', async () => {
  const id = await submitted();
  await assertProblem(await remove(id), 'job-not-finished');
  await cancel(id);
  const response = await remove(id);
  assert.equal(response.status, 204);
  assert.equal(await response.text(), '');
  await assertProblem(await fetch(`${gateway.url}/v1/jobs/${id}`), 'not-found');
  await assertProblem(await remove(id), 'not-found');
  assert.deepEqual(
    (await gateway.storedFiles()).filter(path => path.includes(id)),
    [],
  );
});

test('a job that is deleted while it is cancelled is absent, and has not been cancelled', async () => {
  const id = await submitted();
  await endJob(gateway, await specOf(gateway, id));
  const { store, jobs } = gateway.deps;
  const deletingStore = new Proxy(store, {
    get(target, property) {
      const method = Reflect.get(target, property) as (...args: unknown[]) => Promise<unknown>;
      return async (...args: unknown[]) => {
        // After the job was found, and before its outcome competes with the one that is there.
        if (property === 'put') await jobs.deleteJob('default', id);
        return method.apply(target, args);
      };
    },
  });
  const deps = { ...gateway.deps, jobs: new JobStore(deletingStore) };
  await assert.rejects(cancelJob(deps, 'default', id), { code: 'not-found' });
});
