import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { rm, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { withLock } from '../../../deploy/local/lock.ts';
import { temporaryFolder } from '../../support/temporary.ts';

test('work under one lock never overlaps, and all of it is done', async context => {
  const path = join(await temporaryFolder(context), 'lock');
  let inside = 0;
  let done = 0;
  const work = async () => {
    inside++;
    assert.equal(inside, 1);
    await sleep(5);
    inside--;
    done++;
  };
  await Promise.all(Array.from({ length: 8 }, () => withLock(path, work)));
  assert.equal(done, 8);
  assert.equal(existsSync(path), false);
});

test('a lock is released when the work fails, and the failure passes on', async context => {
  const path = join(await temporaryFolder(context), 'lock');
  await assert.rejects(
    withLock(path, () => Promise.reject(new Error('broken'))),
    /broken/,
  );
  assert.equal(await withLock(path, async () => 'again'), 'again');
});

test('a lock whose owner has died is taken over', async context => {
  const path = join(await temporaryFolder(context), 'lock');
  const dead = spawnSync(process.execPath, ['--version']).pid;
  await writeFile(path, String(dead));
  assert.equal(await withLock(path, async () => 'taken'), 'taken');
});

test('many who find an abandoned lock take it one after the other', async context => {
  const path = join(await temporaryFolder(context), 'lock');
  await writeFile(path, String(spawnSync(process.execPath, ['--version']).pid));
  let inside = 0;
  const work = async () => {
    assert.equal(++inside, 1);
    await sleep(2);
    inside--;
  };
  await Promise.all(Array.from({ length: 16 }, () => withLock(path, work)));
});

test('a silent lock is taken over even where its pid belongs to a living process', async context => {
  const path = join(await temporaryFolder(context), 'lock');
  await writeFile(path, String(process.pid));
  const longAgo = new Date(Date.now() - 3_600_000);
  await utimes(path, longAgo, longAgo);
  assert.equal(await withLock(path, async () => 'taken'), 'taken');
});

test('a lock that is alive is waited for', async context => {
  const path = join(await temporaryFolder(context), 'lock');
  await writeFile(path, String(process.pid));
  const taken = withLock(path, async () => 'taken');
  assert.equal(await Promise.race([taken, sleep(300, 'waiting')]), 'waiting');
  await rm(path);
  assert.equal(await taken, 'taken');
});
