import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { arrayInUse } from '../../../api/jobs/array-use.ts';
import { startTestRedis, type TestRedis } from '../../support/redis.ts';
import { endJob, jobIn, postJson, specOf, startGateway, type TestGateway } from '../gateway.ts';

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

async function upload(data: unknown): Promise<string> {
  return ((await (await postJson(`${gateway.url}/v1/arrays`, data)).json()) as { id: string }).id;
}

test('an array is in use while an unfinished job reads it, as operand, direction or cotangent', async () => {
  const [a, h, g, w] = await Promise.all([upload([[1]]), upload([[2]]), upload([[3]]), upload([[4]])]);
  const uses = () => Promise.all([a, h, g, w].map(id => arrayInUse(gateway.deps, 'default', id)));
  assert.deepEqual(await uses(), [false, false, false, false]);
  const body = { operation: 'check', operands: { A: a, W: w }, direction: h, cotangent: g };
  const job = await jobIn(await postJson(`${gateway.url}/v1/jobs`, body));
  assert.deepEqual(await uses(), [true, true, true, true]);
  assert.equal(await arrayInUse(gateway.deps, 'another', a), false, 'tenants are apart');
  await gateway.deps.jobs.putOutcome(
    { tenant: 'default', id: job.id },
    {
      version: 1,
      state: 'cancelled',
      finishedAt: job.createdAt,
      expiresAt: job.createdAt,
    },
  );
  assert.deepEqual(await uses(), [false, false, false, false], 'the outcome decides, not the marker');
});

test('a value that does not matter to the derivative is not kept', async () => {
  const w = await upload([[5]]);
  const body = { operation: 'jvp', operands: { A: { data: 1 }, W: w }, direction: { data: 1 } };
  const job = await jobIn(await postJson(`${gateway.url}/v1/jobs`, body));
  assert.equal(await arrayInUse(gateway.deps, 'default', w), false);
  await endJob(gateway, await specOf(gateway, job.id));
});
