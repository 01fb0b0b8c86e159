import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { type Arena, createArena, type Slot } from '../../../workers/memory/arena.ts';
import { createArrayCache, type Holding, type SlabRequest } from '../../../workers/memory/array-cache.ts';

const PAGE = 65_536;
/** Arenas here are counted in units. */
const UNIT = PAGE / 16;

/** A cache over 16 units, whose loads are counted. */
function createFixture(arena: Arena = createArena(PAGE)) {
  const counts = { hit: 0, miss: 0 };
  const loaded: string[] = [];
  const cache = createArrayCache(arena, { hit: () => counts.hit++, miss: () => counts.miss++ });
  const slab = (
    key: string,
    units: number,
    load: (slot: Slot) => Promise<void> = async () => {},
  ): SlabRequest => ({
    key,
    bytes: units * UNIT,
    load: slot => {
      loaded.push(key);
      return load(slot);
    },
  });
  return { arena, cache, slab, loaded, counts };
}

/** Whether a promise is settled after everything that can run has run. */
async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  let settled = false;
  const settle = () => {
    settled = true;
  };
  promise.then(settle, settle);
  await turn();
  return settled;
}

function overlap(a: Slot, b: Slot): boolean {
  return a.byteOffset < b.byteOffset + b.byteLength && b.byteOffset < a.byteOffset + a.byteLength;
}

describe('array cache', () => {
  test('a slab is loaded once for all blocks that ask for it, at one time or later', async () => {
    const { cache, slab, loaded, counts } = createFixture();
    const [a, b] = await Promise.all([
      cache.acquire(UNIT, [slab('A', 4)]),
      cache.acquire(UNIT, [slab('A', 4)]),
    ]);
    assert.equal(a.slabs[0]!.byteOffset, b.slabs[0]!.byteOffset);
    assert.ok(!overlap(a.region, b.region));
    a.release();
    b.release();
    const c = await cache.acquire(UNIT, [slab('A', 4)]);
    assert.equal(c.slabs[0]!.byteOffset, a.slabs[0]!.byteOffset);
    assert.deepEqual(loaded, ['A']);
    assert.deepEqual(counts, { hit: 2, miss: 1 });
  });

  test('one block that asks twice for the same slab gets it twice, loaded once', async () => {
    const { arena, cache, slab, loaded } = createFixture();
    const { slabs, release } = await cache.acquire(UNIT, [slab('A', 4), slab('A', 4)]);
    assert.deepEqual(slabs[0], slabs[1]);
    assert.deepEqual(loaded, ['A']);
    release();
    assert.equal(arena.usedBytes, 4 * UNIT);
  });

  test('slabs without a key are loaded every time, and their memory goes back', async () => {
    const { arena, cache, counts } = createFixture();
    let loads = 0;
    const request = { key: undefined, bytes: UNIT, load: async () => void loads++ };
    for (let i = 0; i < 3; i++) (await cache.acquire(UNIT, [request])).release();
    assert.equal(loads, 3);
    assert.equal(arena.usedBytes, 0);
    assert.deepEqual(counts, { hit: 0, miss: 0 });
  });

  test('the holding is not given before its slabs are filled', async () => {
    const { cache, slab } = createFixture();
    let fill = () => {};
    const filled = new Promise<void>(resolve => {
      fill = resolve;
    });
    const acquired = cache.acquire(UNIT, [slab('A', 1, () => filled)]);
    assert.equal(await isSettled(acquired), false);
    fill();
    await acquired;
  });

  test('the least recently used idle slab is evicted first, a pinned one never', async () => {
    const { cache, slab, loaded } = createFixture();
    for (const key of ['A', 'B', 'C']) (await cache.acquire(UNIT, [slab(key, 4)])).release();
    (await cache.acquire(UNIT, [slab('A', 4)])).release(); // now B is the oldest
    const holder = await cache.acquire(UNIT, [slab('C', 4)]);
    (await cache.acquire(UNIT, [slab('D', 4)])).release();
    loaded.length = 0;
    (await cache.acquire(UNIT, [slab('A', 4)])).release();
    holder.release();
    assert.deepEqual(loaded, [], 'A was kept');
    (await cache.acquire(UNIT, [slab('B', 4)])).release();
    assert.deepEqual(loaded, ['B'], 'B was not');
  });

  test('what a block is about to use is not evicted to make its own room', async () => {
    const { cache, slab, loaded } = createFixture();
    (await cache.acquire(UNIT, [slab('A', 6)])).release();
    (await cache.acquire(UNIT, [slab('B', 6)])).release();
    loaded.length = 0;
    // A is the older one: making room for the region first would take it.
    (await cache.acquire(8 * UNIT, [slab('A', 6)])).release();
    assert.deepEqual(loaded, []);
  });

  test('all or nothing: a block that must wait holds nothing', async () => {
    const { arena, cache, slab } = createFixture();
    const first = await cache.acquire(10 * UNIT, []);
    const waiting = cache.acquire(2 * UNIT, [slab('A', 3), slab('B', 3)]);
    assert.equal(await isSettled(waiting), false);
    assert.equal(arena.usedBytes, 10 * UNIT);
    first.release();
    await waiting;
    assert.equal(arena.usedBytes, 8 * UNIT);
  });

  test('first come, first served: a small block does not overtake a large one', async () => {
    const { cache } = createFixture();
    const order: string[] = [];
    const first = await cache.acquire(8 * UNIT, []);
    const acquire = async (name: string, units: number) => {
      const holding = await cache.acquire(units * UNIT, []);
      order.push(name);
      return holding;
    };
    const large = acquire('large', 12);
    const small = acquire('small', 1);
    assert.equal(await isSettled(small), false);
    first.release();
    (await large).release();
    (await small).release();
    assert.deepEqual(order, ['large', 'small']);
  });

  test('idle slabs scattered over the arena never keep a block waiting for ever', async () => {
    const { arena, cache, slab } = createFixture();
    // K, at [4, 6), stays cached while what lay before and behind it goes.
    const before = await cache.acquire(4 * UNIT, []);
    (await cache.acquire(UNIT, [slab('K', 2)])).release();
    before.release();
    const holding = await cache.acquire(9 * UNIT, [slab('K', 2), slab('B', 5)]);
    assert.equal(arena.usedBytes, 16 * UNIT);
    holding.release();
  });

  test('a load that fails leaves nothing behind, and the next block loads again', async () => {
    const { arena, cache, slab, loaded } = createFixture();
    const broken = slab('A', 2, async () => {
      throw new Error('no such luck');
    });
    const results = await Promise.allSettled([
      cache.acquire(UNIT, [broken, slab('B', 2)]),
      cache.acquire(UNIT, [slab('A', 2)]),
    ]);
    assert.deepEqual(
      results.map(({ status }) => status),
      ['rejected', 'rejected'],
      'who shares a load shares its failure',
    );
    assert.equal(arena.usedBytes, 2 * UNIT, 'only B is kept');
    await cache.acquire(UNIT, [slab('A', 2)]);
    assert.deepEqual(loaded, ['A', 'B', 'A']);
  });

  test('releasing again does nothing', async () => {
    const { arena, cache, slab } = createFixture();
    const [a, b] = [await cache.acquire(UNIT, [slab('A', 1)]), await cache.acquire(UNIT, [slab('A', 1)])];
    a.release();
    a.release();
    assert.equal(arena.usedBytes, 2 * UNIT);
    b.release();
    assert.equal(arena.usedBytes, UNIT);
  });

  test('what could never fit is refused, also where only permanent slots are in the way', async () => {
    const arena = createArena(PAGE);
    assert.ok(arena.allocate(UNIT) !== undefined);
    const { cache, slab } = createFixture(arena);
    await assert.rejects(cache.acquire(10 * UNIT, [slab('A', 6)]), {
      code: 'unavailable',
      context: { limit: 15 * UNIT, requested: 16 * UNIT },
    });
    (await cache.acquire(9 * UNIT, [slab('A', 6)])).release();
  });

  test('who waits can leave, and those behind move up', async () => {
    const { cache } = createFixture();
    const controller = new AbortController();
    const first = await cache.acquire(8 * UNIT, []);
    const large = cache.acquire(12 * UNIT, [], controller.signal);
    const small: Promise<Holding> = cache.acquire(UNIT, []);
    assert.equal(await isSettled(small), false);
    controller.abort(new Error('not wanted any more'));
    await assert.rejects(large, /not wanted/);
    (await small).release();
    first.release();
    await assert.rejects(cache.acquire(UNIT, [], controller.signal), /not wanted/);
    (await cache.acquire(16 * UNIT, [])).release();
  });

  test('a signal that comes after the reservation changes nothing', async () => {
    const { arena, cache } = createFixture();
    const controller = new AbortController();
    const holding = await cache.acquire(UNIT, [], controller.signal);
    controller.abort(new Error('too late'));
    holding.release();
    assert.equal(arena.usedBytes, 0);
    (await cache.acquire(16 * UNIT, [])).release();
  });
});
