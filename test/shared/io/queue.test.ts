// The order in which the work-list is worked off, over real Redis and BullMQ: taken one entry after the other, as by a
// worker that does one thing at a time.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, beforeEach, describe, test } from 'node:test';
import { Worker } from 'bullmq';
import type { Redis } from 'ioredis';
import { createWorkQueue, QUEUE_NAME, type WorkQueue, type WorkReference } from '../../../shared/io/queue.ts';
import { connectRedis, REDIS_PREFIX } from '../../../shared/io/redis.ts';
import { placeOf } from '../../../shared/io/rounds.ts';
import { startTestRedis, type TestRedis } from '../../support/redis.ts';

const BULLMQ_PRIORITY_MAX = 2 ** 21 - 1;
const TOKEN = 'the only worker';

let server: TestRedis;
let redis: Redis;
let consumer: Redis;
let queue: WorkQueue;
let worker: Worker<WorkReference>;

before(async () => {
  server = await startTestRedis();
  redis = connectRedis(server.url, 'producer', () => undefined);
  await once(redis, 'ready');
  queue = createWorkQueue(redis);
  consumer = connectRedis(server.url, 'consumer', () => undefined);
  worker = new Worker<WorkReference>(QUEUE_NAME, null, { connection: consumer, prefix: REDIS_PREFIX });
});
after(async () => {
  await worker.close();
  await queue.close();
  consumer.disconnect();
  redis.disconnect();
  await server.stop();
});
beforeEach(async () => {
  await redis.flushall();
});

/** Takes the next entry and does it; whose it was. */
async function take(): Promise<string | undefined> {
  const entry = await worker.getNextJob(TOKEN, { block: false });
  if (entry === undefined) return undefined;
  await queue.noteTaken(entry.priority);
  await entry.moveToCompleted(null, TOKEN, false);
  return 'slice' in entry.data ? `slice ${entry.data.slice}` : entry.data.jobId;
}

async function takeMany(count: number): Promise<(string | undefined)[]> {
  const taken: (string | undefined)[] = [];
  while (taken.length < count) taken.push(await take());
  return taken;
}

/** How many entries are taken before one of this job is, and that one. */
async function takenUntil(id: string): Promise<number> {
  for (let count = 1; count <= 10_000; count++) if ((await take()) === id) return count;
  return assert.fail(`${id} is in the queue`);
}

function add(id: string, blocks: number, { tenant = 'acme', priority = 0 } = {}): Promise<void> {
  return queue.enqueue({ id, tenant, priority }, [...Array(blocks).keys()], blocks);
}

describe('the order of work', () => {
  test('a small job waits for one block of a huge one, whenever it comes', async () => {
    await add('huge', 300);
    for (const before of [0, 1, 100]) {
      await takeMany(before);
      await add(`small${before}`, 1);
      assert.ok((await takenUntil(`small${before}`)) <= 3, `after ${before} blocks`);
    }
  });

  test('beside several huge jobs it waits for one block of each', async () => {
    for (const name of ['a', 'b', 'c', 'd', 'e']) await add(name, 100, { tenant: name });
    const taken = await takeMany(200);
    for (const name of ['a', 'b', 'c', 'd', 'e'])
      assert.equal(taken.filter(id => id === name).length, 40, `${name} has an equal share`);
    await add('small', 1);
    assert.ok((await takenUntil('small')) <= 6);
  });

  test('a huge job is not starved by small ones that never end', async () => {
    await add('huge', 100);
    let ofHuge = 0;
    for (let at = 0; at < 300; at++) {
      await add(`small${at}`, 1, { tenant: 'other' });
      if ((await take()) === 'huge') ofHuge += 1;
    }
    assert.ok(ofHuge >= 30, `${ofHuge} of 300`);
  });

  test('a thousand jobs of one tenant do not stand before another tenant’s only one', async () => {
    const many = Array.from({ length: 1000 }, (_, at) => ({ id: `many${at}`, tenant: 'acme', priority: 0 }));
    await queue.enqueueAll(many.map(job => ({ ...job, blocksTotal: 1 })));
    await takeMany(20);
    await add('only', 1, { tenant: 'other' });
    assert.ok((await takenUntil('only')) <= 10);
  });

  test('jobs of a tenant are taken in the order in which they came', async () => {
    const ids = Array.from({ length: 50 }, (_, at) => `job${at}`);
    for (const id of ids) await add(id, 1);
    assert.deepEqual(await takeMany(50), ids);
  });

  test('a higher priority comes before every round of a lower one', async () => {
    await add('low', 5);
    await takeMany(2);
    await add('high', 3, { priority: 9 });
    await add('middle', 1, { priority: 4 });
    const rest = [...Array(4).fill('high'), 'middle', ...Array(4).fill('low')];
    assert.deepEqual(await takeMany(9), rest, 'blocks and the end of each');
  });

  test('slices of a batch are as the blocks of a job', async () => {
    const slices = Array.from({ length: 40 }, (_, slice) => ({
      tenant: 'acme',
      batchId: 'batch',
      slice,
      priority: 0,
    }));
    await queue.enqueueSlices(slices);
    assert.deepEqual(await takeMany(2), ['slice 0', 'slice 1']);
    await add('small', 1);
    assert.ok((await takenUntil('small')) <= 3);
  });

  test('the end of a job is not left waiting', async () => {
    await add('short', 2);
    await add('long', 100);
    assert.deepEqual(await takeMany(5), ['short', 'long', 'short', 'short', 'long']);
  });

  test('where nothing waits, is held back or runs, rounds begin anew', async () => {
    await add('huge', 50);
    await takeMany(51);
    assert.equal(await redis.hget(`${REDIS_PREFIX}:rounds`, '0'), '49');
    await add('next', 1);
    assert.equal(await redis.hget(`${REDIS_PREFIX}:rounds`, '0'), null);
  });

  test('however long the queue is never empty, places stay within what BullMQ orders', () => {
    for (let priority = 0; priority <= 9; priority++) {
      assert.ok(placeOf(priority, Number.MAX_SAFE_INTEGER) <= BULLMQ_PRIORITY_MAX);
      assert.ok(placeOf(priority, 0) >= 1);
      if (priority > 0) assert.ok(placeOf(priority, Number.MAX_SAFE_INTEGER) < placeOf(priority - 1, 0));
    }
  });
});
