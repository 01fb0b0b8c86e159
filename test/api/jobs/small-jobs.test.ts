import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { batchIdOf } from '../../../shared/io/batch-ids.ts';
import { SLICE_LINES } from '../../../shared/job/limits.ts';
import { startTestRedis, type TestRedis } from '../../support/redis.ts';
import { jobIn, postJson, specOf, startGateway, type TestGateway } from '../gateway.ts';
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

const request = (value: number) => ({ operation: 'value', operands: { A: { data: value }, W: { data: 1 } } });
const submit = async (value: number) => jobIn(await postJson(`${gateway.url}/v1/jobs`, request(value)));

test('jobs that come at the same time are stored and enqueued together, each as it was sent', async () => {
  const count = SLICE_LINES + 10;
  const jobs = await Promise.all(Array.from({ length: count }, (_, value) => submit(value)));
  assert.equal(new Set(jobs.map(({ id }) => id)).size, count);
  const groups = [...new Set(jobs.map(({ id }) => batchIdOf(id)))];
  assert.ok(groups.length < count / 2, `${groups.length} groups`);
  for (const [value, { id }] of jobs.entries()) {
    const { operands, tenant } = await specOf(gateway, id);
    const inline = Buffer.from(Float64Array.of(value).buffer).toString('base64');
    assert.deepEqual(operands.A?.source, { inline, dtype: 'float64', order: 'C' });
    assert.equal(tenant, 'default');
  }
  const { queue, live } = gateway.deps;
  const known = groups.map(batchId => queue.knowsSlice({ tenant: 'default', batchId, slice: 0 }));
  assert.ok((await Promise.all(known)).every(Boolean));
  assert.deepEqual((await live.load()).queued, count);
});

test('a group is nobody’s batch', async () => {
  const { id } = await submit(1);
  for (const path of ['', '/jobs'])
    await assertProblem(await fetch(`${gateway.url}/v1/batches/${batchIdOf(id)}${path}`), 'not-found');
});

test('one of a group may be cancelled; the others stay', async () => {
  const [one, other] = await Promise.all([submit(1), submit(2)]);
  const cancelled = await jobIn(await postJson(`${gateway.url}/v1/jobs/${one.id}/cancel`, ''));
  assert.equal(cancelled.state, 'cancelled');
  const read = async (id: string) => (await jobIn(await fetch(`${gateway.url}/v1/jobs/${id}`))).state;
  assert.deepEqual([await read(one.id), await read(other.id)], ['cancelled', 'queued']);
});
