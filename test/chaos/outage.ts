// One outage of Redis: what is asked of the service before, during and after it.

import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from '../support/client.ts';
import { breakRedis, type RedisFault, type World } from './world.ts';

/** Within this time a gateway says that it cannot, or tells what the store knows … */
const ANSWER_MS_MAX = 5_000;
/** … and this much sooner once it knows that Redis is away. */
const NEXT_ANSWER_MS_MAX = 2_000;
/** Within this time after an outage all workers consume again. */
export const RECOVERY_MS_MAX = 30_000;
/** A shorter outage may be over before anybody can look. */
const OBSERVABLE_MS = 1_000;
const POLL_MS = 100;
const JOBS_AT_ONCE = 8;

const JOB = { operation: 'jvp', operands: { A: { data: [[1, 2], [3, 4]] } }, direction: { data: [[1], [1]] } }; // biome-ignore format: they are matrices
const ANSWER = [3, 7];

/** @returns milliseconds from the end of the outage until every worker had finished a block */
export async function liveThroughOutage(
  world: World,
  client: Client,
  fault: RedisFault,
  durationMs: number,
): Promise<number> {
  const known = await client.compute(JOB);
  const mend = await breakRedis(world, fault);
  const endsAt = performance.now() + durationMs;
  try {
    if (durationMs >= OBSERVABLE_MS || fault === 'loading') await askDuring(client, known.id);
    await sleep(Math.max(0, endsAt - performance.now()));
  } finally {
    await mend();
  }
  const mendedAt = performance.now();
  await untilAllConsume(world, client, mendedAt + RECOVERY_MS_MAX);
  return performance.now() - mendedAt;
}

async function askDuring(client: Client, knownId: string): Promise<void> {
  const submit = () => client.post('/v1/jobs', JSON.stringify(JOB), { 'Content-Type': 'application/json' });
  const [read, result, submitted] = await Promise.all([
    timed(ANSWER_MS_MAX, () => client.get(`/v1/jobs/${knownId}`)),
    timed(ANSWER_MS_MAX, () => client.get(`/v1/jobs/${knownId}/result`)),
    timed(ANSWER_MS_MAX, submit),
  ]);
  assert.equal(read.status, 200);
  assert.equal(result.status, 200);
  assert.equal(submitted.status, 503);
  assert.ok(Number(submitted.headers.get('Retry-After')) > 0);
  // Whatever the answer: a shorter outage may be over.
  await timed(NEXT_ANSWER_MS_MAX, submit);
}

async function timed(msMax: number, ask: () => Promise<Response>): Promise<Response> {
  const start = performance.now();
  const response = await ask();
  await response.arrayBuffer();
  const took = performance.now() - start;
  assert.ok(took < msMax, `${response.url} took ${Math.round(took)} ms`);
  return response;
}

/** Feeds jobs until each worker has finished a block; every job that is accepted must be right. */
async function untilAllConsume({ stack }: World, client: Client, deadline: number): Promise<void> {
  const finished = () =>
    Promise.all(
      stack.workers.map(worker =>
        client
          .metric(worker.ready.adminUrl, 'frechet_blocks_finished_total', { outcome: 'stored' })
          .catch(() => Number.NaN),
      ),
    );
  const before = await finished();
  const accepted: string[] = [];
  for (;;) {
    accepted.push(...(await submitSome(client)));
    const now = await finished();
    if (now.every((count, index) => (count || 0) > (before[index] || 0))) break;
    assert.ok(performance.now() < deadline, `a worker consumes nothing: ${before} before, ${now} now`);
    await sleep(POLL_MS);
  }
  assert.ok(accepted.length > 0);
  for (const id of accepted) {
    assert.equal((await client.until(id)).state, 'succeeded');
    assert.deepEqual((await client.result(id)).values, ANSWER);
  }
}

async function submitSome(client: Client): Promise<string[]> {
  const submissions = Array.from({ length: JOBS_AT_ONCE }, async () => {
    const response = await client.post('/v1/jobs', JSON.stringify(JOB), {
      'Content-Type': 'application/json',
    });
    const document = (await response.json()) as { id: string };
    return response.ok ? [document.id] : [];
  });
  return (await Promise.all(submissions)).flat();
}
