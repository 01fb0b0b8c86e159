import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { workingSetFor } from '../../../shared/job/block-limits.ts';
import { startTestRedis, type TestRedis } from '../../support/redis.ts';
import { jobIn, postJson, specOf, startGateway, type TestGateway } from '../gateway.ts';
import { assertProblem } from '../problem-assertions.ts';

const MIB = 1024 * 1024;
const WIDE = 1_000;

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

async function announce(
  id: string,
  memoryBytes: number,
  workingSetBytes = workingSetFor(memoryBytes),
): Promise<void> {
  const now = new Date(gateway.deps.clock()).toISOString();
  const about = { version: '0.0.0', kernel: 'wasm', threads: 1, startedAt: now };
  await gateway.deps.live.announceWorker({ id, memoryBytes, workingSetBytes, ...about });
}

/** A column has WIDE² elements, 8 MB, so even the smallest block needs some memory. */
const JACOBIAN = {
  operation: 'jacobian',
  operands: { A: { data: Array.from({ length: WIDE }, () => [1]) }, W: { shape: [1, WIDE] } },
  jacobian: { columns: [0, 1] },
};

async function workingSetLimit(): Promise<number> {
  const response = await postJson(`${gateway.url}/v1/jobs`, JACOBIAN);
  assert.equal(response.status, 202, await response.clone().text());
  const { blockLimits } = await specOf(gateway, (await jobIn(response)).id);
  return blockLimits.workingSetBytes;
}

test('blocks fit into the smallest live worker, and never count on more than a usual one has', async () => {
  assert.equal(await workingSetLimit(), 1536 * MIB, 'nobody is there to ask');
  await announce('large', 4096 * MIB);
  assert.equal(await workingSetLimit(), 1536 * MIB);
  await announce('small', 128 * MIB);
  assert.equal(await workingSetLimit(), 96 * MIB);
  await announce('small', 128 * MIB, 50 * MIB);
  assert.equal(await workingSetLimit(), 50 * MIB, 'many threads leave less');
  await gateway.deps.live.forgetWorker('small');
  assert.equal(await workingSetLimit(), 1536 * MIB);
});

test('while nobody is known, blocks fit into the smallest worker that was seen last', async () => {
  await announce('small', 128 * MIB);
  assert.equal(await workingSetLimit(), 96 * MIB);
  // As by a Redis that has lost everything: the worker is there, and will announce itself again.
  await Promise.all(['small', 'large'].map(id => gateway.deps.live.forgetWorker(id)));
  assert.equal(await workingSetLimit(), 96 * MIB);
  await announce('large', 4096 * MIB);
  assert.equal(await workingSetLimit(), 1536 * MIB, 'what is known now counts');
});

test('a job that no block size fits into the smallest worker is refused, for a job and for a plan', async () => {
  await announce('tiny', 64 * 1024);
  for (const path of ['/v1/jobs', '/v1/plan']) {
    const problem = await assertProblem(await postJson(gateway.url + path, JACOBIAN), 'job-too-large');
    assert.equal(problem.limit, 48 * 1024);
  }
  await gateway.deps.live.forgetWorker('tiny');
});
