import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ConnectionError, FrechetProblem, parseRetryAfter } from '../../../api/client/problem.ts';
import { pause, RETRY_DEFAULT, retryDelayMs } from '../../../api/client/retry.ts';

const lost = new ConnectionError('lost');
const busy = (seconds?: number) =>
  new FrechetProblem(
    { type: 'urn:frechet:problem:system-busy', title: '', status: 503, detail: '' },
    seconds,
  );

test('the delay doubles up to its limit, and dice halve it at most', () => {
  const policy = { ...RETRY_DEFAULT, retries: 9, delayMs: 100, delayMsMax: 1000 };
  const delays = (random: number) => [1, 2, 3, 4, 5, 6].map(n => retryDelayMs(lost, n, policy, () => random));
  assert.deepEqual(delays(1), [100, 200, 400, 800, 1000, 1000]);
  assert.deepEqual(delays(0), [50, 100, 200, 400, 500, 500]);
});

test('there is an end to retries', () => {
  assert.equal(typeof retryDelayMs(lost, 5, RETRY_DEFAULT, () => 0), 'number');
  assert.equal(
    retryDelayMs(lost, 6, RETRY_DEFAULT, () => 0),
    undefined,
  );
});

test('what the service asks for comes first, never before it, and not past patience', () => {
  assert.equal(
    retryDelayMs(busy(7), 1, RETRY_DEFAULT, () => 0),
    7000,
  );
  assert.equal(
    retryDelayMs(busy(7), 1, RETRY_DEFAULT, () => 0.5),
    7100,
  );
  assert.equal(
    retryDelayMs(busy(61), 1, RETRY_DEFAULT, () => 0),
    undefined,
  );
});

test('a bug of ours or the caller’s is not retried', () => {
  assert.equal(
    retryDelayMs(new TypeError('x'), 1, RETRY_DEFAULT, () => 0),
    undefined,
  );
});

test('Retry-After is read as a count and as a date', () => {
  const now = Date.parse('2026-01-01T00:00:00Z');
  assert.equal(parseRetryAfter('120', now), 120);
  assert.equal(parseRetryAfter('Thu, 01 Jan 2026 00:00:30 GMT', now), 30);
  assert.equal(parseRetryAfter('Thu, 01 Jan 2020 00:00:30 GMT', now), 0);
  assert.equal(parseRetryAfter('soon', now), undefined);
  assert.equal(parseRetryAfter(null, now), undefined);
});

test('a pause ends early with the reason of the signal, also one given before', async () => {
  await assert.rejects(pause(60_000, AbortSignal.timeout(5)), { name: 'TimeoutError' });
  await assert.rejects(pause(60_000, AbortSignal.abort(new Error('before'))), { message: 'before' });
});
