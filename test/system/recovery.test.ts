// What nobody can prevent: Redis loses everything, processes die without a word. Accepted jobs end all the same. Much
// of the time goes into waiting for locks to lapse and for the reconciler's next pass, so the tests wait side by side.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { connectRedis } from '../../shared/io/redis.ts';
import { type Client, createClient, inline, type JobDocument } from '../support/client.ts';
import { integers, product } from '../support/integers.ts';
import { assertOuterProduct, OUTER_BLOCKS, outerProductJob } from '../support/outer-product.ts';
import { type Stack, startStack } from '../support/processes.ts';
import { assertResult } from '../support/result-assertions.ts';
import { addWorker } from '../support/worker.ts';

const SLOW = { FRECHET_KERNEL: 'reference', FRECHET_THREADS: '1', FRECHET_MEMORY_BYTES: '1GiB' };
/** The reconciler leaves younger jobs to whoever accepted them. */
const RECONCILED_AGE_MS = 10_500;
const A = integers(6, 5, 1);

/** A job whose result is its own. */
function smallJob(seed: number): object {
  return { operation: 'jvp', operands: { A: inline(A) }, direction: inline(integers(5, 3, seed)) };
}

async function assertSmallResult(client: Client, jobId: string, seed: number): Promise<void> {
  const ended = await client.until(jobId);
  assert.equal(ended.state, 'succeeded', JSON.stringify(ended.error));
  await assertResult(client, jobId, product(A, integers(5, 3, seed)));
}

async function wipeRedis(stack: Stack): Promise<void> {
  const redis = connectRedis(stack.redisUrl, 'consumer', () => undefined);
  await redis.flushall();
  redis.disconnect();
}

/** Until it can do everything. */
async function untilReady(url: string): Promise<void> {
  const deadline = Date.now() + 60_000;
  const answer = async () => (await fetch(`${url}/readyz`)).text();
  while ((await answer().catch(() => undefined)) !== 'ready\n') {
    assert.ok(Date.now() < deadline, `${url} is not ready`);
    await sleep(25);
  }
}

describe('every accepted job ends', { concurrency: true }, () => {
  test('although Redis is killed, and then wiped, while jobs are queued', async context => {
    const stack = await startStack({ workers: 0 });
    context.after(() => stack.stop());
    const client = createClient(stack.url);
    const jobs: JobDocument[] = [];
    for (let seed = 0; seed < 8; seed += 1) jobs.push(await client.submit(smallJob(seed)));
    const pid = Number(/Redis .* started \(pid (\d+)\)/.exec(await stack.readLog())?.[1]);
    process.kill(pid, 'SIGKILL');
    while (!/Redis went away.*started/s.test(await stack.readLog())) await sleep(25);
    await untilReady(stack.adminUrl);
    for (let seed = 8; seed < 12; seed += 1) jobs.push(await client.submit(smallJob(seed)));
    await wipeRedis(stack);
    assert.equal((await client.read(jobs[0]?.id ?? '')).state, 'queued');
    await sleep(RECONCILED_AGE_MS);
    const worker = await addWorker(stack, { FRECHET_THREADS: '1', FRECHET_MEMORY_BYTES: '256MiB' });
    try {
      for (const [seed, { id }] of jobs.entries()) await assertSmallResult(client, id, seed);
    } finally {
      await worker.stop();
    }
  });

  test('although Redis is wiped in the middle of its blocks', async context => {
    const stack = await startStack({ env: SLOW });
    context.after(() => stack.stop());
    const client = createClient(stack.url);
    const { id } = await client.submit(await outerProductJob(client));
    const before = await client.until(id, job => job.progress.blocksDone > 0);
    assert.equal(before.state, 'running');
    await wipeRedis(stack);
    const ended = await client.until(id);
    assert.equal(ended.state, 'succeeded', JSON.stringify(ended.error));
    assert.equal(ended.progress.blocksDone, OUTER_BLOCKS);
    await assertOuterProduct(client, id);
  });

  test('although its worker is killed in the middle of its blocks', async context => {
    const stack = await startStack({ env: SLOW });
    context.after(() => stack.stop());
    const client = createClient(stack.url);
    const { id } = await client.submit(await outerProductJob(client));
    await client.until(id, job => Number(job.progress.flopsDone) > 0);
    process.kill(stack.workers[0]?.pid ?? 0, 'SIGKILL');
    const ended = await client.until(id);
    assert.equal(ended.state, 'succeeded', JSON.stringify(ended.error));
    await assertOuterProduct(client, id);
    const stalled = await client.metric(
      stack.workers[0]?.ready.adminUrl ?? '',
      'frechet_stalled_blocks_total',
    );
    assert.ok(stalled >= 1, 'its blocks were taken back');
  });

  test('although the gateway is killed while it accepts jobs', async context => {
    const stack = await startStack({ env: { FRECHET_THREADS: '1', FRECHET_MEMORY_BYTES: '256MiB' } });
    context.after(() => stack.stop());
    const client = createClient(stack.url);
    const accepted = new Map<number, string>();
    let next = 0;
    const submitUntilRefused = async (): Promise<void> => {
      for (;;) {
        const seed = next++;
        const job = await client.submit(smallJob(seed)).catch(() => undefined);
        if (job === undefined) return;
        accepted.set(seed, job.id);
        if (accepted.size === 10) process.kill(stack.gateway.pid, 'SIGKILL');
      }
    };
    await Promise.all([1, 2, 3, 4].map(submitUntilRefused));
    assert.ok(accepted.size >= 10);
    await untilReady(stack.url);
    for (const [seed, id] of accepted) await assertSmallResult(client, id, seed);
    const listed = (await (await client.get('/v1/jobs?limit=100')).json()) as { data: JobDocument[] };
    assert.ok(listed.data.length >= accepted.size);
    for (const { id } of listed.data) {
      const { state } = await client.until(id);
      assert.equal(state, 'succeeded', 'durable and never answered: it ends too');
    }
  });
});
