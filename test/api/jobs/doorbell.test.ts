import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Doorbell } from '../../../api/jobs/doorbell.ts';

const LONG_MS = 60_000;

test('a ring wakes who waits, at once', async () => {
  const doorbell = new Doorbell();
  const woken = doorbell.wait(LONG_MS, new AbortController().signal);
  doorbell.ring();
  await woken;
});

test('rings while nobody waits count as one', async () => {
  const doorbell = new Doorbell();
  doorbell.ring();
  doorbell.ring();
  await doorbell.wait(LONG_MS, new AbortController().signal);
  const startedAt = performance.now();
  await doorbell.wait(30, new AbortController().signal);
  assert.ok(performance.now() - startedAt >= 25, 'the second wait lasted its time');
});

test('an abort wakes too, before the wait and during it', async () => {
  const controller = new AbortController();
  const waiting = new Doorbell().wait(LONG_MS, controller.signal);
  controller.abort();
  await waiting;
  await new Doorbell().wait(LONG_MS, controller.signal);
});
