import assert from 'node:assert/strict';
import { after, before, beforeEach, mock, test } from 'node:test';
import type { Redis } from 'ioredis';
import { createLive, type Live, PRESENCE_SECONDS } from '../../../shared/io/live.ts';
import { connectRedis, REDIS_PREFIX } from '../../../shared/io/redis.ts';
import { startTestRedis, type TestRedis } from '../../support/redis.ts';

let server: TestRedis;
let redis: Redis;
let live: Live;

before(async () => {
  server = await startTestRedis();
  redis = connectRedis(server.url, 'consumer', () => undefined);
  live = createLive(redis);
});
after(async () => {
  redis.disconnect();
  await server.stop();
});
beforeEach(() => redis.flushall());

const LIMITS = { tenantJobsMax: 3, tenantFlopsMax: 100n, systemFlopsMax: 150n, storeBytesMax: undefined };
const work = (id: string, flops: bigint, tenant = 'a', jobs = 1, bytes = 0) => {
  return { id, tenant, flops, jobs, bytes };
};
const admit = (...args: Parameters<typeof work>) => live.admit(work(...args), LIMITS);

test('each limit refuses what would pass it, by name, and nothing is taken', async () => {
  assert.equal(await admit('j1', 60n), undefined);
  assert.deepEqual(await admit('j2', 41n), { limit: 'tenant-flops', current: 60 });
  assert.deepEqual(await admit('j2', 91n, 'b'), { limit: 'system-flops', current: 60 });
  assert.deepEqual(await admit('j2', 1n, 'a', 3), { limit: 'tenant-jobs', current: 1 });
  assert.deepEqual(await live.load(), { queued: 1, running: 0, backlogFlops: 60 });
  assert.equal(await admit('j2', 40n), undefined, 'up to the limit');
  assert.equal(await admit('j3', 50n, 'b'), undefined);
});

test('admitting the same work again takes nothing more', async () => {
  for (let again = 0; again < 3; again++) assert.equal(await admit('j1', 60n), undefined);
  assert.deepEqual(await live.load(), { queued: 1, running: 0, backlogFlops: 60 });
});

test('blocks and the end of a job free its share, once', async () => {
  await admit('j1', 60n);
  for (let again = 0; again < 2; again++) await live.noteBlockDone('j1', 0, { flops: 25n, bytes: 0 });
  assert.equal((await live.load()).backlogFlops, 35);
  assert.deepEqual(await admit('j2', 66n), { limit: 'tenant-flops', current: 35 });
  assert.equal(await admit('j2', 65n), undefined);
  for (let again = 0; again < 2; again++) await live.noteFinished('j1');
  assert.equal((await live.load()).backlogFlops, 65);
  const { jobsDone, flopsDone } = await live.pressure();
  assert.deepEqual([jobsDone, flopsDone], [1, 25]);
});

test('a place given back is not work done', async () => {
  await admit('j1', 60n, 'a', 3);
  await live.release('j1');
  assert.deepEqual(await live.load(), { queued: 0, running: 0, backlogFlops: 0 });
  assert.equal((await live.pressure()).jobsDone, 0);
  assert.equal(await admit('j2', 100n, 'a', 3), undefined, 'all three places are free again');
});

test('a batch holds places until its jobs have their own', async () => {
  await admit('batch', 30n, 'a', 3, 50);
  await live.noteAllEnqueued('a', [
    { id: 'l1', jobs: 1, flops: '10', bytes: 8 },
    { id: 'l2', jobs: 1, flops: '10', bytes: 16 },
    { id: 'l3', jobs: 1, flops: '10', bytes: 24 },
  ]);
  await live.release('batch');
  assert.deepEqual(await live.load(), { queued: 3, running: 0, backlogFlops: 30 });
  assert.deepEqual(await admit('j', 1n), { limit: 'tenant-jobs', current: 3 });
  assert.equal(await live.owedBytes(), 48);
  await live.noteFinished('l2');
  assert.equal(await live.owedBytes(), 32);
  assert.equal(await admit('j', 1n), undefined);
});

test('what the store has still to take of accepted work is owed until it is stored, or the work ends', async () => {
  const limits = { ...LIMITS, storeBytesMax: 100 };
  const offer = (id: string, bytes: number) => live.admit(work(id, 1n, 'a', 1, bytes), limits);
  assert.equal(await offer('j1', 60), undefined);
  assert.deepEqual(await offer('j2', 41), { limit: 'store-bytes', current: 60 });
  assert.equal(await live.owedBytes(), 60, 'what is refused is not owed');
  for (let again = 0; again < 2; again++) await live.noteBlockDone('j1', 0, { flops: 0n, bytes: 50 });
  assert.equal(await live.owedBytes(), 10);
  assert.equal(await offer('j2', 90), undefined, 'up to the limit');
  await live.noteBlockDone('j1', 1, { flops: 0n, bytes: 50 });
  assert.equal(await live.owedBytes(), 90, 'nothing is paid beyond what is owed');
  await live.release('j2');
  for (let again = 0; again < 2; again++) await live.noteFinished('j1');
  assert.equal(await live.owedBytes(), 0);
  await live.noteEnqueued('a', 'j3', { flops: 1n, bytes: 7 });
  assert.equal(await live.owedBytes(), 7);
});

test('the oldest job that waits is known, and begun ones do not wait', async () => {
  for (const id of ['01B', '01A', '01C']) await live.noteEnqueued('a', id, { flops: 1n, bytes: 8 });
  assert.equal((await live.pressure()).oldestWaiting, '01A');
  assert.equal(await live.noteStarted('01A', 1000), true);
  assert.equal(await live.noteStarted('01A', 2000), false);
  assert.equal((await live.pressure()).oldestWaiting, '01B');
  await live.noteFinished('01B');
  assert.equal((await live.pressure()).oldestWaiting, '01C');
  assert.deepEqual(await live.runningJobs(), ['01A']);
});

test('sums stay exact beyond 2^53', async () => {
  const huge = 10n ** 16n + 1n;
  const limits = {
    tenantJobsMax: 10,
    tenantFlopsMax: undefined,
    systemFlopsMax: 10n ** 18n,
    storeBytesMax: undefined,
  };
  await live.admit(work('j1', huge), limits);
  await live.admit(work('j2', 1n), limits);
  await live.noteFinished('j1');
  assert.equal((await live.load()).backlogFlops, 1);
});

test('stored bytes are counted from a measure on, which the first to measure gives', async () => {
  assert.equal(await live.addStoredBytes('a', 5), undefined);
  assert.equal(await live.storedBytes('a'), undefined);
  await live.noteStoredBytes('a', 100, 60);
  assert.equal(await live.addStoredBytes('a', 5), 105);
  await live.noteStoredBytes('a', 100, 60);
  assert.equal(await live.addStoredBytes('a', -50), 55);
  assert.equal(await live.storedBytes('b'), undefined);
});

const ABOUT = {
  version: '0.0.0',
  kernel: 'wasm',
  threads: 1,
  memoryBytes: 8,
  startedAt: '2026-01-01T00:00:00Z',
};

test('a worker whose clock is wrong, either way, is seen by a gateway whose clock is right', async () => {
  for (const skewMs of [-10 * 60_000, 10 * 60_000]) {
    mock.timers.enable({ apis: ['Date'], now: Date.now() + skewMs });
    await live.announceWorker({ ...ABOUT, id: `w${skewMs}`, workingSetBytes: 4 });
    mock.timers.reset();
  }
  assert.deepEqual(await live.workingSets(), [4, 4]);
  for (const { seenAt } of await live.workers()) {
    assert.ok(Math.abs(Date.parse(seenAt) - Date.now()) < 10_000, `${seenAt} is by the clock of Redis`);
  }
});

test('a worker that is silent is no longer seen, and its entry goes', async () => {
  await live.announceWorker({ ...ABOUT, id: 'alive', workingSetBytes: 4 });
  const seenAt = new Date(Date.now() - (PRESENCE_SECONDS + 5) * 1000).toISOString();
  const silent = JSON.stringify({ ...ABOUT, id: 'silent', workingSetBytes: 4, seenAt });
  await redis.hset(`${REDIS_PREFIX}:workers`, 'silent', silent);
  assert.deepEqual(
    (await live.workers()).map(({ id }) => id),
    ['alive'],
  );
  assert.deepEqual(await redis.hkeys(`${REDIS_PREFIX}:workers`), ['alive']);
});
