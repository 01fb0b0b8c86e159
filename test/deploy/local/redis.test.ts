import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chmod, mkdir, rm, stat, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { ensureRedis, type RedisService } from '../../../deploy/local/redis.ts';
import { findCommand, findRedis } from '../../../deploy/local/redis-binary.ts';
import { pingRedis, startRedis } from '../../../deploy/local/redis-process.ts';
import { REPOSITORY_ROOT } from '../../../deploy/local/root.ts';
import { connectRedis } from '../../../shared/io/redis.ts';
import { isAlive } from '../../support/is-alive.ts';
import { temporaryFolder } from '../../support/temporary.ts';

const SEARCH_PATH = process.env.PATH ?? '';

async function ensure(context: TestContext, dataDir: string, url?: string): Promise<RedisService> {
  const redis = await ensureRedis({ url, dataDir, searchPath: SEARCH_PATH, log: () => {} });
  context.after(() => redis.stop());
  return redis;
}

/** One command on a connection of its own. */
async function ask(url: string, ...command: [string, ...string[]]): Promise<unknown> {
  const redis = connectRedis(url, 'subscriber', () => {});
  try {
    return await redis.call(...command);
  } finally {
    redis.disconnect();
  }
}

async function findFreePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo; // a TCP server's
  server.close();
  await once(server, 'close');
  return port;
}

/** Whether a process ends within five seconds. */
async function isGone(pid: number): Promise<boolean> {
  for (let attempt = 0; attempt < 200 && isAlive(pid); attempt++) await sleep(25);
  return !isAlive(pid);
}

test('a private Redis never evicts, keeps an append-only file and is closed to others', async context => {
  const dataDir = await temporaryFolder(context);
  const redis = await ensure(context, dataDir);
  assert.equal(redis.owned, true);
  assert.equal(redis.url, `unix:${join(dataDir, 'redis', 'redis.sock')}`);
  const settings = ['maxmemory-policy', 'appendonly', 'appendfsync', 'save', 'port'];
  const values = [];
  for (const name of settings) values.push(((await ask(redis.url, 'CONFIG', 'GET', name)) as string[])[1]);
  assert.deepEqual(values, ['noeviction', 'yes', 'everysec', '', '0']);
  assert.equal((await stat(join(dataDir, 'redis'))).mode & 0o777, 0o700);
});

test('a URL wins, and stopping leaves that Redis alone', async context => {
  const dataDir = await temporaryFolder(context);
  const running = await ensure(context, dataDir);
  const given = await ensure(context, '/nowhere', running.url);
  assert.deepEqual([given.url, given.owned], [running.url, false]);
  await given.stop();
  assert.equal(await ask(running.url, 'PING'), 'PONG');
});

test('of several at once in one data folder one starts Redis and the others share it', async context => {
  const dataDir = await temporaryFolder(context);
  const all = await Promise.all([1, 2, 3].map(() => ensure(context, dataDir)));
  assert.equal(new Set(all.map(redis => redis.url)).size, 1);
  assert.equal(all.filter(redis => redis.owned).length, 1);

  const owner = all.find(redis => redis.owned);
  const guest = all.find(redis => !redis.owned);
  await guest?.stop();
  assert.equal(await ask(owner?.url ?? '', 'PING'), 'PONG');
});

test('who shares a Redis hears when it goes', async context => {
  const dataDir = await temporaryFolder(context);
  const owner = await ensure(context, dataDir);
  const guest = await ensure(context, dataDir);
  await owner.stop();
  await guest.ended;
});

test('data survive a stop and a start', async context => {
  const dataDir = await temporaryFolder(context);
  const first = await ensure(context, dataDir);
  await ask(first.url, 'SET', 'key', 'kept');
  await first.stop();
  const second = await ensure(context, dataDir);
  assert.equal(second.owned, true);
  assert.equal(await ask(second.url, 'GET', 'key'), 'kept');
});

test('where the data folder’s path is too long for a socket, a private folder elsewhere is used again and again', async context => {
  const dataDir = join(await temporaryFolder(context), 'long'.repeat(30));
  const first = await ensure(context, dataDir);
  const path = first.url.slice('unix:'.length);
  context.after(() => rm(join(path, '..'), { recursive: true }));
  assert.ok(path.length < 100);
  assert.equal((await stat(join(path, '..'))).mode & 0o777, 0o700);
  const guest = await ensure(context, dataDir);
  assert.deepEqual([guest.url, guest.owned], [first.url, false]);
  await guest.stop();
  await first.stop();
  assert.equal((await ensure(context, dataDir)).url, first.url);
});

test('a recorded socket in a folder open to others is not trusted', async context => {
  const dataDir = join(await temporaryFolder(context), 'long'.repeat(30));
  const open = await temporaryFolder(context);
  await chmod(open, 0o777);
  await mkdir(join(dataDir, 'redis'), { recursive: true });
  await writeFile(join(dataDir, 'redis', 'redis.sock.path'), join(open, 'redis.sock'));
  const redis = await ensure(context, dataDir);
  context.after(() => rm(join(redis.url.slice('unix:'.length), '..'), { recursive: true }));
  assert.notEqual(redis.url, `unix:${join(open, 'redis.sock')}`);
});

test('a server on the search path is the one that runs', async context => {
  const folder = await temporaryFolder(context);
  const real = await findRedis({ searchPath: SEARCH_PATH });
  const script = join(folder, 'redis-server');
  const marker = join(folder, 'was-run');
  const library = real.libraryPath === undefined ? '' : `export LD_LIBRARY_PATH=${real.libraryPath}`;
  await writeFile(script, `#!/bin/sh\n${library}\ntouch ${marker}\nexec ${real.command} "$@"\n`);
  await chmod(script, 0o755);
  const dataDir = join(folder, 'data');
  const redis = await ensureRedis({ dataDir, searchPath: folder, log: () => {} });
  context.after(() => redis.stop());
  assert.equal(await ask(redis.url, 'PING'), 'PONG');
  assert.ok(existsSync(marker));
});

test('a Redis that cannot start says why', async context => {
  const dir = await temporaryFolder(context);
  const binary = await findRedis({ searchPath: SEARCH_PATH });
  const address = { socket: join(dir, 'no', 'such', 'folder', 'redis.sock') };
  await assert.rejects(startRedis({ binary, dir, address, searchPath: SEARCH_PATH }), {
    code: 'unavailable',
    message: /unix socket/i,
  });
});

test('a Redis on a port answers there, and nobody after its stop', async context => {
  const dir = await temporaryFolder(context);
  const binary = await findRedis({ searchPath: SEARCH_PATH });
  const address = { port: await findFreePort() };
  const redis = await startRedis({ binary, dir, address, searchPath: SEARCH_PATH });
  context.after(() => redis.stop());
  assert.equal(await ask(redis.url, 'PING'), 'PONG');
  await redis.stop();
  assert.equal(await pingRedis(address), 'absent');
});

test('Redis ends soon after the process that started it was killed, and its data are there', {
  skip: (await findCommand('setpriv', SEARCH_PATH)) === undefined ? 'needs setpriv' : false,
}, async context => {
  const dataDir = await temporaryFolder(context);
  const module = join(REPOSITORY_ROOT, 'dist/deploy/local/redis.js');
  const source = `
    import { ensureRedis } from ${JSON.stringify(module)};
    const redis = await ensureRedis({
      dataDir: ${JSON.stringify(dataDir)}, searchPath: process.env.PATH, log: console.log,
    });
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', source], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let pid = 0;
  for await (const line of createInterface(child.stdout)) {
    pid = Number(/pid (\d+)/.exec(line)?.[1] ?? 0);
    if (pid > 0) break;
  }
  const url = `unix:${join(dataDir, 'redis', 'redis.sock')}`;
  await ask(url, 'SET', 'key', 'kept');
  child.kill('SIGKILL');
  assert.ok(await isGone(pid));
  assert.equal(await ask((await ensure(context, dataDir)).url, 'GET', 'key'), 'kept');
});
