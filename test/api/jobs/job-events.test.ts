import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createJobEvents, LOOK_AGAIN_MS } from '../../../api/jobs/job-events.ts';
import { JobStore } from '../../../shared/io/job-store.ts';
import { openFileStore } from '../../../shared/io/store/file-store.ts';
import type { Outcome } from '../../../shared/job/outcome.ts';
import { temporaryFolder } from '../../support/temporary.ts';

const TENANT = 'default';
const JOB = '01JE0000000000000000000000';
const OTHER = '01JE0000000000000000000001';
const never = new AbortController().signal;
const CANCELLED: Outcome = {
  version: 1,
  state: 'cancelled',
  finishedAt: '2026-01-01T00:00:00.000Z',
  expiresAt: '2026-01-02T00:00:00.000Z',
};

async function fixture(context: Parameters<typeof temporaryFolder>[0]) {
  const jobs = new JobStore(await openFileStore(await temporaryFolder(context)));
  return { jobs, events: createJobEvents(jobs) };
}

async function timed<T>(work: Promise<T>): Promise<{ value: T; ms: number }> {
  const startedAt = performance.now();
  const value = await work;
  return { value, ms: performance.now() - startedAt };
}

test('a job that had ended before anybody listened is noticed soon', async context => {
  const { jobs, events } = await fixture(context);
  await jobs.putOutcome({ tenant: TENANT, id: JOB }, CANCELLED);
  const { value, ms } = await timed(events.waitForFinal(TENANT, JOB, 60_000, never));
  assert.equal(value, true);
  assert.ok(ms < LOOK_AGAIN_MS / 2);
  assert.equal(await events.waitForFinal(TENANT, JOB, 0, never), true);
});

test('an event wakes at once; what ends the wait is the outcome in the store', async context => {
  const { jobs, events } = await fixture(context);
  const waiting = timed(events.waitForFinal(TENANT, JOB, 60_000, never));
  events.dispatch({ type: 'finished', tenant: TENANT, jobId: JOB });
  events.dispatch({ type: 'finished', tenant: TENANT, jobId: OTHER });
  await jobs.putOutcome({ tenant: TENANT, id: JOB }, CANCELLED);
  events.dispatch({ type: 'finished', tenant: TENANT, jobId: JOB });
  const { value, ms } = await waiting;
  assert.equal(value, true);
  assert.ok(ms < LOOK_AGAIN_MS / 2, `${ms} ms`);
  assert.equal(events.watchedJobs, 0);
});

test('a lost event is made up for by looking again', async context => {
  const { jobs, events } = await fixture(context);
  const waiting = timed(events.waitForFinal(TENANT, JOB, 60_000, never));
  await jobs.putOutcome({ tenant: TENANT, id: JOB }, CANCELLED);
  const { value, ms } = await waiting;
  assert.equal(value, true);
  assert.ok(ms < 2 * LOOK_AGAIN_MS, `${ms} ms`);
});

test('a wait ends after its time, or when it is aborted', async context => {
  const { events } = await fixture(context);
  const { value, ms } = await timed(events.waitForFinal(TENANT, JOB, 50, never));
  assert.equal(value, false);
  assert.ok(ms >= 45 && ms < LOOK_AGAIN_MS, `${ms} ms`);
  const controller = new AbortController();
  const waiting = events.waitForFinal(TENANT, JOB, 60_000, controller.signal);
  controller.abort();
  assert.equal(await waiting, false);
  assert.equal(events.watchedJobs, 0);
});

test('every watcher of a job is woken, until it stops watching', async context => {
  const { events } = await fixture(context);
  const rings: string[] = [];
  const bell = (name: string) => ({ ring: () => void rings.push(name) });
  const unwatchFirst = events.watch(JOB, bell('first'));
  const unwatchSecond = events.watch(JOB, bell('second'));
  events.dispatch({ type: 'progress', tenant: TENANT, jobId: JOB });
  unwatchFirst();
  unwatchFirst();
  events.dispatch({ type: 'block', tenant: TENANT, jobId: JOB, block: 0 });
  unwatchSecond();
  events.dispatch({ type: 'finished', tenant: TENANT, jobId: JOB });
  assert.deepEqual(rings, ['first', 'second', 'second']);
  assert.equal(events.watchedJobs, 0);
});
