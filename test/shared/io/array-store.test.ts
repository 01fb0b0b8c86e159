import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ArrayHeader } from '../../../shared/io/array-header.ts';
import { ArrayStore } from '../../../shared/io/array-store.ts';
import { openFileStore } from '../../../shared/io/store/file-store.ts';
import type { StagedObject, Store } from '../../../shared/io/store/store.ts';
import { ARRAY_BYTES_MAX, ARRAY_RETENTION_SECONDS, RESULT_CHUNK_BYTES } from '../../../shared/job/limits.ts';
import { temporaryFolder } from '../../support/temporary.ts';
import { collect, failsWith, pieces } from './streams.ts';

const HEADER: ArrayHeader = { shape: [3, 2], dtype: 'float64', order: 'F' };
const DATA = new Uint8Array(new Float64Array([1, 3, 5, 2, 4, 6]).buffer);
const ID = createHash('sha256').update('<f8 F 3,2\n').update(DATA).digest('hex');
const START = Date.parse('2026-11-23T12:00:00.000Z');

async function setUp(context: TestContext) {
  const root = await temporaryFolder(context);
  const store = await openFileStore(root);
  const clock = { now: START };
  return { root, store, clock, arrays: new ArrayStore(store, () => clock.now) };
}

async function upload(arrays: ArrayStore, header = HEADER, data = DATA, tenant = 'default') {
  return (await arrays.stage(tenant, header, pieces(data, 5))).commit();
}

async function dataOf(arrays: ArrayStore, id: string, tenant = 'default'): Promise<Buffer | undefined> {
  const array = await arrays.open(tenant, id);
  const data = array && (await collect(array.readVerified(0, array.footer.bytes)));
  await array?.close();
  return data;
}

test('an array is known by its digest, with its metadata, and reads back', async context => {
  const { arrays } = await setUp(context);
  const staged = await arrays.stage('default', HEADER, pieces(DATA, 5));
  assert.equal(staged.id, ID);
  assert.equal(await arrays.get('default', ID), undefined);
  const { array, created } = await staged.commit();
  assert.equal(created, true);
  assert.deepEqual(array, {
    id: ID,
    ...HEADER,
    bytes: 48,
    createdAt: '2026-11-23T12:00:00.000Z',
    expiresAt: new Date(START + ARRAY_RETENTION_SECONDS * 1000).toISOString(),
  });
  assert.deepEqual(await arrays.get('default', ID), array);
  assert.deepEqual(await dataOf(arrays, ID), Buffer.from(DATA));
});

test('ranks 0 and 1, float32 and nothing at all have the ids of the contract', async context => {
  const { arrays } = await setUp(context);
  const cases: [ArrayHeader, string, number][] = [
    [{ shape: [], dtype: 'float64', order: 'C' }, '<f8 C \n', 8],
    [{ shape: [5], dtype: 'float32', order: 'C' }, '<f4 C 5\n', 20],
    [{ shape: [0, 7, 2], dtype: 'float64', order: 'C' }, '<f8 C 0,7,2\n', 0],
  ];
  for (const [header, prefix, bytes] of cases) {
    const data = new Uint8Array(bytes).fill(1);
    const { array } = await upload(arrays, header, data);
    assert.equal(array.id, createHash('sha256').update(prefix).update(data).digest('hex'));
    assert.deepEqual(await dataOf(arrays, array.id), Buffer.from(data));
  }
});

test('arrays of several chunks have a digest for each', async context => {
  const { arrays } = await setUp(context);
  const length = RESULT_CHUNK_BYTES + RESULT_CHUNK_BYTES / 2;
  const data = createHash('shake256', { outputLength: length }).digest();
  const staged = await arrays.stage(
    'default',
    { shape: [length / 4], dtype: 'float32', order: 'C' },
    pieces(data, 1_000_003),
  );
  const { array } = await staged.commit();
  const open = await arrays.open('default', array.id);
  const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
  assert.deepEqual(open?.footer.chunks, [
    sha256(data.subarray(0, RESULT_CHUNK_BYTES)),
    sha256(data.subarray(RESULT_CHUNK_BYTES)),
  ]);
  await open?.close();
  assert.ok((await dataOf(arrays, array.id))?.equals(data));
});

test('a second upload renews the array and says that it was there', async context => {
  const { arrays, clock } = await setUp(context);
  const first = await upload(arrays);
  clock.now += 86_400_000;
  const second = await upload(arrays);
  assert.equal(second.created, false);
  assert.equal(second.array.createdAt, first.array.createdAt);
  assert.equal(Date.parse(second.array.expiresAt) - Date.parse(first.array.expiresAt), 86_400_000);
  assert.deepEqual(await arrays.get('default', ID), second.array);
  assert.deepEqual((await arrays.list('default', 10)).data, [second.array]);
});

test('an expired array counts as absent, and a new upload creates it', async context => {
  const { arrays, clock } = await setUp(context);
  await upload(arrays);
  clock.now += ARRAY_RETENTION_SECONDS * 1000 - 1;
  assert.ok(await arrays.get('default', ID));
  clock.now += 1;
  assert.equal(await arrays.get('default', ID), undefined);
  assert.equal(await arrays.open('default', ID), undefined);
  assert.deepEqual((await arrays.list('default', 10)).data, []);
  assert.equal(await arrays.delete('default', ID), false);
  await upload(arrays);
  clock.now += ARRAY_RETENTION_SECONDS * 1000;
  const { array, created } = await upload(arrays);
  assert.equal(created, true);
  assert.equal(array.createdAt, new Date(clock.now).toISOString());
  // The entry of its earlier life is still there and does not list it twice.
  assert.deepEqual((await arrays.list('default', 10)).data, [array]);
});

test('of fifty simultaneous first uploads one creates, and the array is listed once', async context => {
  const { arrays, root } = await setUp(context);
  const uploads = await Promise.all(Array.from({ length: 50 }, () => upload(arrays)));
  assert.equal(uploads.filter(({ created }) => created).length, 1);
  assert.equal((await arrays.list('default', 100)).data.length, 1);
  assert.deepEqual(await readdir(join(root, 'tmp')), []);
});

test('uploads and deletions at once leave an array that is whole, or none', async context => {
  const { arrays } = await setUp(context);
  await Promise.all(
    Array.from({ length: 60 }, (_, i) => (i % 3 === 0 ? arrays.delete('default', ID) : upload(arrays))),
  );
  const data = await dataOf(arrays, ID);
  if (data !== undefined) assert.deepEqual(data, Buffer.from(DATA));
  assert.equal((await upload(arrays)).created, data === undefined);
  assert.deepEqual(await dataOf(arrays, ID), Buffer.from(DATA));
});

test('tenants see nothing of each other', async context => {
  const { arrays } = await setUp(context);
  await upload(arrays, HEADER, DATA, 'a');
  assert.equal(await arrays.get('b', ID), undefined);
  assert.deepEqual((await arrays.list('b', 10)).data, []);
  assert.equal((await upload(arrays, HEADER, DATA, 'b')).created, true);
  assert.equal(await arrays.delete('a', ID), true);
  assert.ok(await arrays.get('b', ID));
});

test('listing goes from newest to oldest, page by page, over the edges of shards', async context => {
  const { arrays, clock } = await setUp(context);
  const ids: string[] = [];
  for (let i = 0; i < 7; i += 1) {
    const { array } = await upload(
      arrays,
      { shape: [], dtype: 'float64', order: 'C' },
      new Uint8Array(8).fill(i),
    );
    ids.unshift(array.id);
    clock.now += 600_000;
  }
  await arrays.delete('default', ids[3]!);
  ids.splice(3, 1);
  const listed: string[] = [];
  let cursor: string | undefined;
  let pages = 0;
  do {
    const page = await arrays.list('default', 2, cursor);
    listed.push(...page.data.map(array => array.id));
    cursor = page.nextCursor ?? undefined;
    pages += 1;
  } while (cursor !== undefined);
  assert.deepEqual(listed, ids);
  assert.equal(pages, 3);
  await failsWith('query-invalid', arrays.list('default', 2, '../../x'));
});

test('deleting removes the array, its entry, and the shard that it leaves empty', async context => {
  const { arrays, store, clock } = await setUp(context);
  await upload(arrays);
  clock.now += 3_600_000;
  assert.equal(await arrays.delete('default', ID), true);
  assert.equal(await arrays.delete('default', ID), false);
  assert.deepEqual(await store.list('tenants/default/arrays'), []);
  assert.deepEqual(await store.list('tenants/default/uploads'), []);
});

test('text that is no id names no array', async context => {
  const { arrays } = await setUp(context);
  for (const id of ['', '..', '../x', 'A'.repeat(64), `${ID}0`, ID.toUpperCase()]) {
    assert.equal(await arrays.get('default', id), undefined);
    assert.equal(await arrays.delete('default', id), false);
  }
});

test('a source that breaks off, and an upload that is discarded, leave nothing', async context => {
  const { arrays, root } = await setUp(context);
  async function* broken() {
    yield DATA.subarray(0, 20);
    throw new Error('connection lost');
  }
  await assert.rejects(arrays.stage('default', HEADER, broken()), /connection lost/);
  const staged = await arrays.stage('default', HEADER, pieces(DATA, 48));
  await staged.discard();
  await staged.discard();
  assert.deepEqual(await readdir(join(root, 'tmp')), []);
  assert.deepEqual(await readdir(join(root, 'objects')), []);
});

/** A store whose staged objects are different in this. */
function staging(store: Store, change: (object: StagedObject) => Partial<StagedObject>): Store {
  const stage = async () => {
    const object = await store.stage();
    const write = (bytes: Uint8Array) => object.write(bytes);
    const discard = () => object.discard();
    const commit: StagedObject['commit'] = (key, options) => object.commit(key, options);
    return {
      get size() {
        return object.size;
      },
      write,
      discard,
      commit,
      ...change(object),
    };
  };
  return { stage } as Partial<Store> as Store; // all that receiving asks
}

/** A store that is different in this. */
function changed(store: Store, change: Partial<Store>): Store {
  return new Proxy(store, {
    get(target, property) {
      const value: unknown = Reflect.get(change, property) ?? Reflect.get(target, property, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

for (const [when, isEntryLast] of [
  ['has removed it', false],
  ['has removed it, but not yet its entry,', true],
] as const) {
  test(`an array that an upload brings back after a deletion ${when} is listed and collected`, async context => {
    const { store, clock, arrays } = await setUp(context);
    await upload(arrays);
    let uploaded: Promise<unknown> = Promise.resolve();
    let deleted: Promise<unknown> = Promise.resolve();
    const deleting = changed(store, {
      delete: async key => {
        if (isEntryLast && key.includes('/uploads/')) await uploaded;
        return store.delete(key);
      },
    });
    const { stage } = staging(store, object => ({
      commit: async (key, options) => {
        deleted = new ArrayStore(deleting, () => clock.now).delete('default', ID);
        if (!isEntryLast) await deleted;
        while ((await arrays.get('default', ID)) !== undefined) await sleep(1);
        return object.commit(key, options);
      },
    }));
    uploaded = upload(new ArrayStore(changed(store, { stage }), () => clock.now));
    await uploaded;
    await deleted;
    assert.deepEqual((await arrays.list('default', 10)).data, [await arrays.get('default', ID)]);
    clock.now += 2 * ARRAY_RETENTION_SECONDS * 1000;
    assert.equal(await arrays.collectExpired('default', 3_600, async () => false), 1);
    assert.deepEqual(await store.list('tenants/default/arrays'), []);
    assert.deepEqual(await store.list('tenants/default/uploads'), []);
  });
}

test('a source that breaks off while a chunk is being written is discarded after that', async context => {
  const { store, root } = await setUp(context);
  const events: string[] = [];
  const slow = staging(store, object => ({
    write: async bytes => {
      await sleep(20);
      await object.write(bytes);
      events.push('written');
    },
    discard: async () => {
      events.push('discarded');
      await object.discard();
    },
  }));
  async function* broken() {
    yield new Uint8Array(RESULT_CHUNK_BYTES);
    throw new Error('connection lost');
  }
  const header: ArrayHeader = { shape: [2, RESULT_CHUNK_BYTES / 8], dtype: 'float64', order: 'C' };
  await assert.rejects(new ArrayStore(slow).stage('default', header, broken()), /connection lost/);
  assert.deepEqual(events, ['written', 'discarded']);
  assert.deepEqual(await readdir(join(root, 'tmp')), []);
});

test('a chunk that cannot be written fails its upload, though the source goes on', async context => {
  const { store } = await setUp(context);
  const full = staging(store, () => ({ write: () => Promise.reject(new Error('no space')) }));
  const header: ArrayHeader = { shape: [3, RESULT_CHUNK_BYTES / 8], dtype: 'float64', order: 'C' };
  const data = new Uint8Array(3 * RESULT_CHUNK_BYTES);
  await assert.rejects(new ArrayStore(full).stage('default', header, pieces(data, 2 ** 20)), /no space/);
});

test('an array beyond the limits is refused before a byte is taken', async context => {
  const { arrays, root } = await setUp(context);
  const header: ArrayHeader = { shape: [ARRAY_BYTES_MAX / 64 + 1, 8], dtype: 'float64', order: 'C' };
  let wasRead = false;
  async function* source() {
    wasRead = true;
    yield DATA;
  }
  const error = await failsWith('array-too-large', arrays.stage('default', header, source()));
  assert.deepEqual(error.context, { limit: ARRAY_BYTES_MAX, requested: ARRAY_BYTES_MAX + 64 });
  await failsWith('array-too-large', arrays.stage('default', { ...header, shape: [2 ** 33, 0] }, source()));
  await failsWith('array-syntax', arrays.stage('default', { ...header, shape: [1, 1, 1, 1] }, source()));
  assert.equal(wasRead, false);
  assert.deepEqual(await readdir(join(root, 'tmp')), []);
});

test('a source that is longer or shorter than its header is a bug, not an array', async context => {
  const { arrays } = await setUp(context);
  for (const data of [DATA.subarray(1), new Uint8Array(49)]) {
    await assert.rejects(arrays.stage('default', HEADER, pieces(data, 7)), { name: 'AssertionError' });
  }
});

test('a damaged array says so, and an upload heals it', async context => {
  const { arrays, store } = await setUp(context);
  await upload(arrays);
  await store.put(`tenants/default/arrays/${ID}`, [Buffer.from('damaged')], { exclusive: false });
  await failsWith('operand-corrupt', arrays.get('default', ID));
  assert.equal((await upload(arrays)).created, true);
  assert.deepEqual(await dataOf(arrays, ID), Buffer.from(DATA));
});

/** A store whose nth call fails. */
function failingStore(store: Store, at: number): { store: Store; count: () => number } {
  let count = 0;
  const step = () => {
    count += 1;
    if (count === at) throw new Error('step fails');
  };
  const failing = <T extends object>(target: T): T =>
    new Proxy(target, {
      get(_, property) {
        const value: unknown = Reflect.get(target, property, target);
        if (typeof value !== 'function' || property === 'discard' || property === 'close') {
          return typeof value === 'function' ? value.bind(target) : value;
        }
        return async (...args: unknown[]) => {
          step();
          const result: unknown = await Reflect.apply(value, target, args);
          return property === 'stage' ? failing(result as StagedObject) : result;
        };
      },
    });
  return { store: failing(store), count: () => count };
}

test('a failure at any step of an upload leaves no array, or a whole one', async context => {
  const { store, root } = await setUp(context);
  let steps = 0;
  for (let at = 1; ; at += 1) {
    const failing = failingStore(store, at);
    const tenant = `tenant-${at}`;
    const result = await upload(new ArrayStore(failing.store), HEADER, DATA, tenant).catch(
      (error: Error) => error,
    );
    if (failing.count() < at) break;
    steps += 1;
    assert.ok(result instanceof Error, `step ${at}`);
    const arrays = new ArrayStore(store);
    assert.equal(await dataOf(arrays, ID, tenant), undefined, `step ${at}`);
    assert.deepEqual((await arrays.list(tenant, 10)).data, []);
    assert.equal((await upload(arrays, HEADER, DATA, tenant)).created, true);
    assert.equal((await arrays.list(tenant, 10)).data.length, 1);
  }
  assert.ok(steps >= 6, `only ${steps} steps`);
  assert.deepEqual(await readdir(join(root, 'tmp')), []);
});
