import assert from 'node:assert/strict';
import { readdir, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { disk } from '../../../../shared/io/store/disk.ts';
import { openFileStore } from '../../../../shared/io/store/file-store.ts';
import { keySegments, type Store } from '../../../../shared/io/store/store.ts';
import { interceptDisk } from '../../../support/intercepted-disk.ts';
import { temporaryFolder } from '../../../support/temporary.ts';
import { failsWith } from '../streams.ts';
import { unreliableDisk } from './unreliable-disk.ts';

const CREATE = { exclusive: true };
const REPLACE = { exclusive: false };
const bytes = (text: string) => Buffer.from(text);

async function text(store: Store, key: string): Promise<string | undefined> {
  const found = await store.get(key);
  return found && Buffer.from(found).toString();
}

async function open(context: TestContext): Promise<{ root: string; store: Store }> {
  const root = join(await temporaryFolder(context), 'deep', 'store');
  return { root, store: await openFileStore(root) };
}

test('an object is its parts in order, and stays what it was when it is created again', async context => {
  const { store } = await open(context);
  assert.equal(await store.get('a/b'), undefined);
  assert.equal(await store.put('a/b', [bytes('one '), bytes(''), bytes('two')], CREATE), true);
  assert.equal(await store.put('a/b', [bytes('other')], CREATE), false);
  assert.equal(await text(store, 'a/b'), 'one two');
  assert.equal(await store.put('a/b', [bytes('other')], REPLACE), true);
  assert.equal(await text(store, 'a/b'), 'other');
  assert.equal(await store.put('empty', [], CREATE), true);
  assert.equal(await text(store, 'empty'), '');
});

test('of a hundred who create one key exactly one wins, across stores on one folder', async context => {
  const { root, store } = await open(context);
  const stores = [store, await openFileStore(root)];
  const won = await Promise.all(
    Array.from({ length: 100 }, (_, i) =>
      stores[i % 2]!.put('jobs/x/outcome', [bytes(`writer ${i}`)], CREATE),
    ),
  );
  assert.equal(won.filter(Boolean).length, 1);
  assert.equal(await text(store, 'jobs/x/outcome'), `writer ${won.indexOf(true)}`);
  assert.deepEqual(await readdir(join(root, 'tmp')), []);
});

test('a replacement is seen whole or not at all by those who read meanwhile', async context => {
  const { store } = await open(context);
  const versions = Array.from({ length: 40 }, (_, i) => Buffer.alloc(100_000, i));
  await store.put('k', [versions[0]!], CREATE);
  let isDone = false;
  const writer = (async () => {
    for (const version of versions)
      await store.put('k', [version.subarray(0, 50_000), version.subarray(50_000)], REPLACE);
    isDone = true;
  })();
  while (!isDone) {
    const found = await store.get('k');
    assert.equal(found?.byteLength, 100_000);
    assert.ok(found.every(byte => byte === found[0]));
  }
  await writer;
});

test('an open object stays readable after its replacement and its deletion', async context => {
  const { store } = await open(context);
  await store.put('k', [bytes('0123456789')], CREATE);
  const object = await store.open('k');
  assert.ok(object);
  await store.put('k', [bytes('other')], REPLACE);
  assert.equal(await store.delete('k'), true);
  const target = new Uint8Array(new SharedArrayBuffer(16), 2, 6);
  assert.equal(await object.read(target, 7), 3);
  assert.deepEqual([...target], [...bytes('789'), 0, 0, 0]);
  assert.equal(await object.read(target, 10), 0);
  assert.equal(object.size, 10);
  await object.close();
  assert.equal(await store.open('k'), undefined);
  assert.equal(await store.delete('k'), false);
});

test('what lies in shared memory is stored as well', async context => {
  const { store } = await open(context);
  const arena = new Uint8Array(new SharedArrayBuffer(100)).fill(7);
  await store.put('k', [arena.subarray(10, 20), arena.subarray(50, 51)], CREATE);
  assert.deepEqual([...((await store.get('k')) ?? [])], new Array(11).fill(7));
});

test('a staged object is nowhere before it is committed, and nowhere after it is discarded', async context => {
  const { root, store } = await open(context);
  const staged = await store.stage();
  await staged.write(bytes('abc'));
  assert.equal(staged.size, 3);
  assert.deepEqual(await store.list('x'), []);
  assert.equal(await staged.commit('x/1', CREATE), true);
  await staged.discard();
  assert.equal(await text(store, 'x/1'), 'abc');
  const loser = await store.stage();
  await loser.write(bytes('def'));
  assert.equal(await loser.commit('x/1', CREATE), false);
  assert.equal(await loser.commit('x/2', CREATE), true);
  const dropped = await store.stage();
  await dropped.write(bytes('ghi'));
  await dropped.discard();
  await dropped.discard();
  assert.deepEqual(await store.list('x'), ['1', '2']);
  assert.deepEqual(await readdir(join(root, 'tmp')), []);
});

test('listing gives the next segments, sorted, bounded on either side', async context => {
  const { store } = await open(context);
  for (const key of ['p/b', 'p/a/1', 'p/a/2', 'p/c', 'p/B', 'q/z']) await store.put(key, [], CREATE);
  assert.deepEqual(await store.list('p'), ['B', 'a', 'b', 'c']);
  assert.deepEqual(await store.list('p', { after: 'B', before: 'c' }), ['a', 'b']);
  assert.deepEqual(await store.list('p', { reverse: true, limit: 2 }), ['c', 'b']);
  assert.deepEqual(await store.list('p', { reverse: true, before: 'b', limit: 1 }), ['a']);
  assert.deepEqual(await store.list('nothing/here'), []);
  assert.deepEqual(await store.list('p/b'), []);
});

test('a prefix is no object, and an object no prefix', async context => {
  const { store } = await open(context);
  await store.put('p/a', [bytes('x')], CREATE);
  assert.equal(await store.get('p'), undefined);
  assert.equal(await store.stat('p'), undefined);
  assert.equal(await store.get('p/a/b'), undefined);
  assert.equal(await store.delete('p'), false);
  assert.equal((await store.stat('p/a'))?.size, 1);
});

test('deleting a prefix takes everything under it and nothing beside it', async context => {
  const { store } = await open(context);
  for (const key of ['p/a/1', 'p/a/b/2', 'p/ab']) await store.put(key, [], CREATE);
  await store.deletePrefix('p/a');
  await store.deletePrefix('p/a');
  assert.deepEqual(await store.list('p'), ['ab']);
  assert.equal(await store.put('p/a/1', [bytes('again')], CREATE), true);
});

test('pruning forgets an empty prefix only', async context => {
  const { store } = await open(context);
  await store.put('p/a/1', [], CREATE);
  await store.prune('p/a');
  assert.deepEqual(await store.list('p'), ['a']);
  await store.delete('p/a/1');
  await store.prune('p/a');
  await store.prune('p/a');
  assert.deepEqual(await store.list('p'), []);
  // The folder was known to be durable, and has gone: it is made again.
  assert.equal(await store.put('p/a/1', [bytes('x')], CREATE), true);
});

test('sweeping takes old leftovers of crashes, and leaves what is being written', async context => {
  const { root, store } = await open(context);
  const crashed = await store.stage();
  await crashed.write(bytes('never committed'));
  const [leftover] = await readdir(join(root, 'tmp'));
  const longAgo = new Date(Date.now() - 7200_000);
  await utimes(join(root, 'tmp', leftover!), longAgo, longAgo);
  const current = await store.stage();
  assert.equal(await store.sweep(3600), 1);
  assert.equal(await store.sweep(3600), 0);
  await crashed.discard();
  assert.equal(await current.commit('k', CREATE), true);
});

test('files are the owner’s alone', async context => {
  const { root, store } = await open(context);
  await store.put('p/k', [bytes('x')], CREATE);
  assert.equal((await stat(join(root, 'objects', 'p', 'k'))).mode & 0o777, 0o600);
  for (const folder of [root, join(root, 'tmp'), join(root, 'objects', 'p')]) {
    assert.equal((await stat(folder)).mode & 0o777, 0o700);
  }
});

test('bytes are counted both ways, and the volume has a size', async context => {
  const counted = { read: 0, write: 0 };
  const store = await openFileStore(await temporaryFolder(context), {
    onBytes: (direction, count) => {
      counted[direction] += count;
    },
  });
  await store.put('k', [bytes('12345'), bytes('678')], CREATE);
  await store.get('k');
  assert.deepEqual(counted, { read: 8, write: 8 });
  const usage = await store.usage();
  assert.ok(usage && usage.freeBytes > 0 && usage.totalBytes >= usage.freeBytes);
});

test('malformed keys are bugs', () => {
  for (const key of ['', '/a', 'a/', 'a//b', '.', 'a/../b', 'a b', 'é', 'a\\b', 'a\0', 'x'.repeat(256)]) {
    assert.throws(() => keySegments(key), { name: 'AssertionError' }, key);
  }
  assert.deepEqual(keySegments('tenants/a.b/x_y-Z'), ['tenants', 'a.b', 'x_y-Z']);
});

test('a volume without hard links is refused when it is opened', async context => {
  const link = () => Promise.reject(Object.assign(new Error('EPERM'), { code: 'EPERM' }));
  const error = await failsWith(
    'unavailable',
    openFileStore(await temporaryFolder(context), { disk: { ...disk, link } }),
  );
  assert.match(error.message, /hard links/);
});

test('a folder that this user may not write to is told of, with what to do', async context => {
  const mkdir = () => Promise.reject(Object.assign(new Error('EACCES'), { code: 'EACCES' }));
  const opened = openFileStore(await temporaryFolder(context), {
    disk: { ...disk, mkdir: mkdir as typeof disk.mkdir },
    onOutage: () => assert.fail('nothing to wait for'),
  });
  assert.match((await failsWith('unavailable', opened)).message, /EACCES.*FRECHET_STORE/);
});

for (const [code, slug] of [
  ['ENOSPC', 'store-full'],
  ['EIO', 'unavailable'],
] as const)
  test(`a volume with ${code} when it is opened is waited for, where somebody hears of it`, async context => {
    let isAway = true;
    const fails = () => Promise.reject(Object.assign(new Error(code), { code }));
    const faulty: typeof disk = {
      ...disk,
      mkdir: ((...given) => (isAway ? fails() : disk.mkdir(...given))) as typeof disk.mkdir,
      open: (...given) => (isAway ? fails() : disk.open(...given)),
    };
    const root = await temporaryFolder(context);
    await failsWith(slug, openFileStore(root, { disk: faulty }));
    const outages: Error[] = [];
    const store = await openFileStore(root, { disk: faulty, onOutage: error => void outages.push(error) });
    assert.equal(outages.length, 1);
    await failsWith(slug, store.put('k', [bytes('x')], CREATE));
    isAway = false;
    for (let i = 0; i < 100 && !(await readdir(root)).includes('tmp'); i++) await sleep(50);
    assert.equal(await store.put('k', [bytes('x')], CREATE), true);
  });

test('a link that NFS reports as EEXIST although it is our own counts as won', async context => {
  const link = async (from: string, to: string) => {
    await disk.link(from, to);
    if (to.includes('objects')) throw Object.assign(new Error('EEXIST'), { code: 'EEXIST' });
  };
  const store = await openFileStore(await temporaryFolder(context), {
    disk: { ...disk, link: link as typeof disk.link },
  });
  assert.equal(await store.put('k', [bytes('x')], CREATE), true);
  assert.equal(await store.put('k', [bytes('y')], REPLACE), true);
});

test('data are on disk before the name appears, and the name before the answer', async context => {
  const root = await temporaryFolder(context);
  const recorder = unreliableDisk();
  const store = await openFileStore(root, { disk: recorder.disk });
  for (const exclusive of [true, false]) {
    const begin = recorder.log.length;
    const folder = exclusive ? 'created' : 'replaced';
    await store.put(`a/${folder}/k`, [bytes('x')], { exclusive });
    const log = recorder.log.slice(begin);
    const step = (wanted: string) =>
      log.findLastIndex(entry => entry === wanted || entry.startsWith(`${wanted}/`));
    const objects = join(root, 'objects');
    const order = [
      step(`write ${join(root, 'tmp')}`),
      step(`datasync ${join(root, 'tmp')}`),
      log.findIndex(entry => entry.startsWith(exclusive ? 'link' : 'rename')),
      step(`sync ${join(objects, 'a', folder)}`),
    ];
    assert.ok(
      order.every((at, i) => at >= 0 && (i === 0 || at > order[i - 1]!)),
      `${order}\n${log.join('\n')}`,
    );
    // The folders on the way are durable too: each was made, and then the one above it synced.
    assert.ok(log.indexOf(`mkdir ${join(objects, 'a', folder)}`) < log.indexOf(`sync ${join(objects, 'a')}`));
    assert.ok(log.indexOf(`sync ${join(objects, 'a')}`) < order[2]!);
  }
});

test('what has no bytes needs no temporary file, and is durable before the answer', async context => {
  const root = await temporaryFolder(context);
  const recorder = unreliableDisk();
  const store = await openFileStore(root, { disk: recorder.disk });
  const objects = join(root, 'objects');
  const begin = recorder.log.length;
  assert.equal(await store.put('a/k', [], REPLACE), true);
  const log = recorder.log.slice(begin);
  assert.ok(!log.some(entry => entry.includes(join(root, 'tmp'))), log.join('\n'));
  const [made, synced] = [log.indexOf(`open ${objects}/a/k`), log.lastIndexOf(`sync ${objects}/a`)];
  assert.ok(made >= 0 && synced > made, log.join('\n'));
  assert.equal((await store.get('a/k'))?.byteLength, 0);
  // Again, and in the place of what is not empty.
  assert.equal(await store.put('a/k', [], REPLACE), true);
  assert.equal(await store.put('a/k', [bytes('x')], REPLACE), true);
  assert.equal(await store.put('a/k', [], REPLACE), true);
  assert.equal((await store.get('a/k'))?.byteLength, 0);
  assert.equal(await store.put('a/k', [], CREATE), false);
  // Its folder was seen, and has been deleted by another process since.
  await rm(join(objects, 'a'), { recursive: true });
  assert.equal(await store.put('a/k', [], REPLACE), true);
  assert.deepEqual(await store.list('a'), ['k']);
});

test('a deletion is durable before the answer, but where that is not wanted', async context => {
  const { disk, log } = unreliableDisk();
  const store = await openFileStore(await temporaryFolder(context), { disk });
  for (const key of ['p/a', 'p/b']) await store.put(key, [], REPLACE);
  const during = async (work: Promise<boolean>) => {
    const before = log.length;
    assert.equal(await work, true);
    return log.slice(before).map(line => line.split(' ')[0]);
  };
  assert.deepEqual((await during(store.delete('p/a'))).slice(0, 3), ['unlink', 'open', 'sync']);
  assert.deepEqual(await during(store.delete('p/b', { durable: false })), ['unlink']);
});

test('a write-back that failed while a long object was being written fails its commit', async context => {
  const root = await temporaryFolder(context);
  // As the system does: the failure is told once.
  let failures = 0;
  const failing = interceptDisk(disk, async (name, _path, run) => {
    if (name === 'datasync' && failures++ === 0) throw Object.assign(new Error('EIO'), { code: 'EIO' });
    return run();
  });
  const store = await openFileStore(root, { disk: failing });
  const object = await store.stage();
  const piece = new Uint8Array(16 * 1024 * 1024);
  while (failures === 0) await object.write(piece);
  assert.ok(object.size > piece.byteLength, 'a short object is not synced before its end');
  await object.write(piece);
  await failsWith('unavailable', object.commit('a/k', CREATE));
  await object.discard();
  assert.equal(await store.get('a/k'), undefined);
  assert.deepEqual(await readdir(join(root, 'tmp')), []);
});

test('a folder in which an object was read is durable, and made again only where it has gone', async context => {
  const root = await temporaryFolder(context);
  await (await openFileStore(root)).put('a/b/first', [bytes('x')], CREATE);
  const recorder = unreliableDisk();
  const store = await openFileStore(root, { disk: recorder.disk });
  assert.equal(await text(store, 'a/b/first'), 'x');
  const begin = recorder.log.length;
  await store.put('a/b/second', [bytes('y')], CREATE);
  const folder = join(root, 'objects', 'a', 'b');
  assert.ok(!recorder.log.slice(begin).some(entry => entry.startsWith('mkdir')), recorder.log.join('\n'));
  assert.ok(recorder.log.slice(begin).includes(`sync ${folder}`), 'the name is durable all the same');
  await rm(folder, { recursive: true });
  await store.put('a/b/third', [bytes('z')], CREATE);
  assert.ok(recorder.log.lastIndexOf(`sync ${join(root, 'objects', 'a')}`) > begin);
  assert.equal(await text(store, 'a/b/third'), 'z');
});

test('one who finds an object there waits until it is durable', async context => {
  const root = await temporaryFolder(context);
  const recorder = unreliableDisk();
  await (await openFileStore(root)).put('a/k', [bytes('x')], CREATE);
  const store = await openFileStore(root, { disk: recorder.disk });
  assert.equal(await store.put('a/k', [bytes('y')], CREATE), false);
  assert.ok(recorder.log.includes(`sync ${join(root, 'objects', 'a')}`));
});
