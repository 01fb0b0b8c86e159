// A job that runs for long on two workers: what can be done with it meanwhile, and that cancelling stops the work on both.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { assertProblem } from '../api/problem-assertions.ts';
import { type Client, createClient, type JobDocument } from '../support/client.ts';
import { integers, product } from '../support/integers.ts';
import { encodeNpy, matrixNpy } from '../support/npy.ts';
import { type Stack, startStack } from '../support/processes.ts';
import { assertResult } from '../support/result-assertions.ts';

/** With the reference kernel on one thread, minutes of work. */
const SIDE = 3_000;

let stack: Stack;
let client: Client;
let A: string;
let slow: object;
before(async () => {
  stack = await startStack({
    workers: 2,
    env: { FRECHET_KERNEL: 'reference', FRECHET_THREADS: '1', FRECHET_MEMORY_BYTES: '400MiB' },
  });
  client = createClient(stack.url);
  const values = new Array<number>(SIDE * SIDE).fill(1);
  A = await client.upload(encodeNpy({ shape: [SIDE, SIDE], dtype: 'float64', order: 'C', values }));
  slow = { operation: 'jvp', operands: { A }, direction: A, labels: { speed: 'slow' } };
});
after(() => stack.stop());

/** Of both workers together. */
async function workerMetric(name: string, labels: Record<string, string>): Promise<number> {
  const values = await Promise.all(
    stack.workers.map(({ ready }) => client.metric(ready.adminUrl ?? '', name, labels)),
  );
  return values.reduce((sum, value) => sum + value, 0);
}

async function cancel(id: string): Promise<JobDocument> {
  const response = await client.post(`/v1/jobs/${id}/cancel`, '');
  assert.equal(response.status, 200);
  return (await response.json()) as JobDocument;
}

/** Until a metric of the workers has the value. */
async function untilMetric(name: string, labels: Record<string, string>, value: number): Promise<void> {
  const deadline = Date.now() + 60_000;
  for (;;) {
    const found = await workerMetric(name, labels);
    if (found === value) return;
    assert.ok(Date.now() < deadline, `${name} is still ${found}`);
    await sleep(50);
  }
}

test('a running job has no result, cannot be deleted, holds its arrays, and stops when it is cancelled', async () => {
  const submitted = await client.submit(slow, { Prefer: 'wait=1' });
  assert.equal(submitted.result, null);
  const running = await client.until(
    submitted.id,
    job => job.state === 'running' && Number(job.progress.flopsDone) > 0,
  );
  assert.equal(running.state, 'running');
  assert.notEqual(running.startedAt, null);
  assert.ok(running.progress.blocksDone < running.progress.blocksTotal);

  const path = `/v1/jobs/${running.id}`;
  const remove = (target: string) => fetch(client.url + target, { method: 'DELETE' });
  await assertProblem(await client.get(`${path}/result`), 'job-not-finished');
  await assertProblem(await remove(path), 'job-not-finished');
  await assertProblem(await remove(`/v1/arrays/${A}`), 'array-in-use');
  const listed = (await (await client.get('/v1/jobs?state=running')).json()) as { data: JobDocument[] };
  assert.deepEqual(
    listed.data.map(job => job.id),
    [running.id],
  );
  assert.ok((await workerMetric('frechet_threads', { state: 'busy' })) >= 1);

  const cancelled = await cancel(running.id);
  assert.equal(cancelled.state, 'cancelled');
  assert.notEqual(cancelled.finishedAt, null);
  await untilMetric('frechet_threads', { state: 'busy' }, 0);
  assert.deepEqual(await cancel(running.id), cancelled, 'again changes nothing');
  await assertProblem(await client.get(`${path}/result`), 'job-cancelled');
});

test('jobs that are cancelled stop on both workers or never begin, and the next job has the machine for itself', async () => {
  // More blocks than one worker takes at a time.
  const jobs = await Promise.all(Array.from({ length: 6 }, () => client.submit(slow)));
  await untilMetric('frechet_threads', { state: 'busy' }, 2);
  for (const { id } of jobs) await cancel(id);
  await untilMetric('frechet_threads', { state: 'busy' }, 0);
  const [a, h] = [integers(40, 30, 1), integers(30, 20, 2)];
  const [small, direction] = [await client.upload(matrixNpy(a)), await client.upload(matrixNpy(h))];
  const { id } = await client.compute({ operation: 'jvp', operands: { A: small }, direction });
  await assertResult(client, id, product(a, h));
  for (const job of jobs) assert.equal((await client.read(job.id)).state, 'cancelled');
  const gateway = (name: string, labels = {}) => client.metric(stack.adminUrl, name, labels);
  assert.equal(await gateway('frechet_jobs'), 0, 'none is queued or running');
  assert.equal(await gateway('frechet_backlog_flops'), 0);
  assert.equal(await gateway('frechet_jobs_finished_total', { outcome: 'cancelled' }), 7);
});

test('memory of cancelled jobs is given back: a result of most of it still computes', async () => {
  const values = new Array<number>(SIDE).fill(2);
  const thin = await client.upload(encodeNpy({ shape: [SIDE, 1], dtype: 'float64', order: 'C', values }));
  const flat = await client.upload(encodeNpy({ shape: [1, SIDE], dtype: 'float64', order: 'C', values }));
  const job = await client.compute({ operation: 'jvp', operands: { A: thin }, direction: flat });
  assert.ok((job.result?.bytes ?? 0) > 64 * 1024 * 1024);
  const used = await workerMetric('frechet_memory_bytes', { kind: 'used' });
  const limit = await workerMetric('frechet_memory_bytes', { kind: 'limit' });
  assert.equal(limit, 2 * 400 * 1024 * 1024);
  assert.ok(used < limit / 2, `${used} bytes are used by nobody`);
});

test('events of a job that is cancelled end with its final state', async () => {
  const { id } = await client.submit(slow);
  const response = await client.get(`/v1/jobs/${id}/events`);
  await cancel(id);
  const text = await response.text();
  const last =
    text
      .trimEnd()
      .split('\n\n')
      .filter(record => record.startsWith('event:'))
      .at(-1) ?? '';
  assert.match(last, /^event: state\ndata: /);
  assert.equal((JSON.parse(last.slice(last.indexOf('{'))) as JobDocument).state, 'cancelled');
});

test('a cancelled job can be deleted, and its arrays with it', async () => {
  const { data } = (await (await client.get('/v1/jobs?state=cancelled')).json()) as { data: JobDocument[] };
  assert.equal(data.length, 8);
  for (const { id } of data) {
    assert.equal((await fetch(`${client.url}/v1/jobs/${id}`, { method: 'DELETE' })).status, 204);
  }
  assert.equal((await fetch(`${client.url}/v1/arrays/${A}`, { method: 'DELETE' })).status, 204);
  await assertProblem(await client.get(`/v1/arrays/${A}`), 'not-found');
});
