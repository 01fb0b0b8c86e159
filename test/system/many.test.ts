// Many jobs, several workers, several gateways: each job is computed once and rightly, in the order of its priority.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { type Client, createClient, inline, type JobDocument } from '../support/client.ts';
import { readEvents } from '../support/event-stream.ts';
import { integers, product } from '../support/integers.ts';
import { startStack } from '../support/processes.ts';
import { assertResult } from '../support/result-assertions.ts';
import { addWorker } from '../support/worker.ts';
import { startGatewayProcess } from './gateway-process.ts';

const SMALL = { FRECHET_THREADS: '1', FRECHET_MEMORY_BYTES: '128MiB' };
const A = integers(12, 10, 1);

/** A job whose result is its own. */
function jobOf(seed: number): object {
  return { operation: 'jvp', operands: { A: inline(A) }, direction: inline(integers(10, 4, seed)) };
}

async function assertOwnResult(client: Client, id: string, seed: number): Promise<void> {
  const job = await client.until(id);
  assert.equal(job.state, 'succeeded', JSON.stringify(job.error));
  await assertResult(client, id, product(A, integers(10, 4, seed)));
}

test('two hundred jobs at once over two workers: each has its own result, each block is computed once', async context => {
  const stack = await startStack({ workers: 2, env: SMALL });
  context.after(() => stack.stop());
  const client = createClient(stack.url);
  const seeds = Array.from({ length: 200 }, (_, seed) => seed);
  const jobs = await Promise.all(seeds.map(seed => client.submit(jobOf(seed))));
  assert.equal(new Set(jobs.map(job => job.id)).size, seeds.length);
  for (const seed of seeds) await assertOwnResult(client, jobs[seed]?.id ?? '', seed);
  const stored = await Promise.all(
    stack.workers.map(worker =>
      client.metric(worker.ready.adminUrl, 'frechet_blocks_finished_total', { outcome: 'stored' }),
    ),
  );
  assert.ok(
    stored.every(count => count > 0),
    `both workers took part: ${stored}`,
  );
  assert.equal(
    stored.reduce((sum, count) => sum + count, 0),
    seeds.length,
  );
});

test('of jobs that wait, those of higher priority begin first', async context => {
  const stack = await startStack({ workers: 0 });
  context.after(() => stack.stop());
  const client = createClient(stack.url);
  const priorities = [0, 0, 0, 0, 0, 0, 5, 5, 5, 5, 5, 5, 9, 9, 9, 9, 9, 9];
  const ids: string[] = [];
  for (const priority of priorities) ids.push((await client.submit({ ...jobOf(priority), priority })).id);
  const worker = await addWorker(stack, SMALL);
  const jobs: JobDocument[] = [];
  try {
    for (const id of ids) jobs.push(await client.until(id));
  } finally {
    await worker.stop();
  }
  jobs.sort((a, b) => ((a.startedAt ?? '') < (b.startedAt ?? '') ? -1 : 1));
  // Some begin at the same moment, so only the ends of each group are sure.
  const begun = jobs.map(job => job.priority);
  assert.deepEqual(
    [begun.slice(0, 3), begun.slice(-3)],
    [
      [9, 9, 9],
      [0, 0, 0],
    ],
    `${begun}`,
  );
});

test('a job accepted by one gateway is read, watched and deleted at another', async context => {
  const stack = await startStack({ env: SMALL });
  context.after(() => stack.stop());
  const gateway = await startGatewayProcess({
    FRECHET_REDIS_URL: stack.redisUrl,
    FRECHET_STORE: `file:${join(stack.dataDir, 'store')}`,
  });
  context.after(gateway.stop);
  const [here, there] = [createClient(stack.url), createClient(gateway.url)];
  const submitted = await here.submit(jobOf(7));
  const states: string[] = [];
  for await (const { event, data } of readEvents(`${there.url}/v1/jobs/${submitted.id}/events`)) {
    if (event === 'state') states.push((data as JobDocument).state);
  }
  assert.equal(states.at(-1), 'succeeded');
  await assertOwnResult(there, submitted.id, 7);
  assert.deepEqual(await there.read(submitted.id), await here.read(submitted.id));
  const again = await there.post(`/v1/jobs/${submitted.id}/cancel`, '');
  assert.equal(again.status, 409, 'both gateways know the end');
  assert.equal((await fetch(`${there.url}/v1/jobs/${submitted.id}`, { method: 'DELETE' })).status, 204);
  assert.equal((await here.get(`/v1/jobs/${submitted.id}`)).status, 404);
});
