import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FolderSync } from '../../../../shared/io/store/folder-sync.ts';

/** An fsync that ends when it is told to, and remembers what was in the folder when it started. */
function manual() {
  const entries: string[] = [];
  const started: { seen: string[]; end: (error?: Error) => void }[] = [];
  const sync = new FolderSync(
    () =>
      new Promise<void>((resolve, reject) => {
        started.push({ seen: [...entries], end: error => (error ? reject(error) : resolve()) });
      }),
  );
  return { entries, started, sync };
}

const turn = () => new Promise(resolve => setImmediate(resolve));

test('everyone waits for an fsync that started after their entry, and shares it', async () => {
  const { entries, started, sync } = manual();
  const durable: string[] = [];
  const create = (name: string) => {
    entries.push(name);
    return sync.sync('folder').then(() => durable.push(name));
  };
  const first = create('a');
  const others = [create('b'), create('c'), create('d')];
  await turn();
  assert.equal(started.length, 1);
  assert.deepEqual(started[0]?.seen, ['a']);
  started[0].end();
  await first;
  await turn();
  assert.deepEqual(durable, ['a']);
  assert.equal(started.length, 2);
  assert.deepEqual(started[1]?.seen, ['a', 'b', 'c', 'd']);
  started[1].end();
  await Promise.all(others);
  assert.deepEqual(durable, ['a', 'b', 'c', 'd']);
  const last = create('e');
  assert.equal(started.length, 3);
  started[2]?.end();
  await last;
});

test('a failure is told to those who waited for that fsync, and to nobody else', async () => {
  const { started, sync } = manual();
  const first = sync.sync('folder');
  const second = sync.sync('folder');
  started[0]?.end(new Error('lost'));
  await assert.rejects(first, /lost/);
  await turn();
  started[1]?.end();
  await second;
  const third = sync.sync('folder');
  started[2]?.end();
  await third;
});

test('folders do not wait for each other', async () => {
  const { started, sync } = manual();
  const syncs = ['x', 'y'].map(folder => sync.sync(folder));
  assert.equal(started.length, 2);
  for (const { end } of started) end();
  await Promise.all(syncs);
});
