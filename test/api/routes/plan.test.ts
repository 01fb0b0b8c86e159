import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { startTestRedis, type TestRedis } from '../../support/redis.ts';
import { postJson, startGateway, type TestGateway } from '../gateway.ts';

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

async function plan(body: unknown) {
  const response = await postJson(`${gateway.url}/v1/plan`, body);
  assert.equal(response.status, 200, await response.clone().text());
  return (await response.json()) as Record<string, unknown>;
}

test('a plan says what the job would be and leaves no trace', async () => {
  const filesBefore = await gateway.storedFiles();
  const { peakBytes, derivative, ...rest } = await plan({
    operation: 'jvp',
    operands: {
      A: {
        data: [
          [1, 2],
          [3, 4],
          [5, 6],
        ],
      },
    },
    direction: {
      data: [
        [1, 0],
        [-2, 1],
      ],
    },
  });
  assert.deepEqual(rest, {
    shapes: { A: [3, 2], W: [2, 2], F: [3, 2] },
    result: { shape: [3, 2], dtype: 'float64', order: 'C', bytes: 176 },
    flops: 24,
    blocks: 1,
  });
  assert.ok(typeof peakBytes === 'number' && peakBytes >= 8 * (6 + 4 + 6));
  assert.equal((derivative as { adjoint: string }).adjoint, "A'*G");
  assert.deepEqual(await gateway.storedFiles(), filesBefore);
  assert.equal((await gateway.deps.live.load()).queued, 0);
});

test('the result of a check has no shape, and no size before the end', async () => {
  const { result } = await plan({ operation: 'check', operands: { A: { data: 1 }, W: { data: 2 } } });
  assert.deepEqual(result, { shape: null, dtype: null, order: null, bytes: null });
});

test('a plan needs no Redis', async () => {
  const lonelyRedis = await startTestRedis();
  const lonely = await startGateway(lonelyRedis.url);
  await lonelyRedis.stop();
  const body = { operation: 'value', operands: { A: { data: 1 }, W: { data: 2 } } };
  assert.equal((await postJson(`${lonely.url}/v1/plan`, body)).status, 200);
  await lonely.close();
});
