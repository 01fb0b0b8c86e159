import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { pingRedis } from '../../../deploy/local/redis-process.ts';
import { REPOSITORY_ROOT } from '../../../deploy/local/root.ts';
import { isAlive } from '../../support/is-alive.ts';
import { temporaryFolder } from '../../support/temporary.ts';

const UP = join(REPOSITORY_ROOT, 'dist/deploy/local/up.js');
/** An idle gateway closes within ten seconds, whatever connections are open. */
const GONE_MS_MAX = 20_000;
const WELCOME_MS_MAX = 60_000;

interface Up {
  readonly child: ChildProcess;
  readonly socket: string;
  readonly output: () => string;
  /** Of the API and of both admin listeners. */
  readonly urls: readonly string[];
}

/** Starts Frechet with a command line, in a process group of its own as a terminal would, and waits for the welcome. */
async function start(context: TestContext, command: string, ...args: string[]): Promise<Up> {
  const dataDir = await temporaryFolder(context);
  const child = spawn(command, args, {
    cwd: REPOSITORY_ROOT,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      PATH: process.env.PATH,
      HOME: process.env.HOME,
      FRECHET_DATA_DIR: dataDir,
      FRECHET_PORT: '0',
      FRECHET_ADMIN_PORT: '0',
    },
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  }
  context.after(() => child.kill('SIGTERM'));
  const deadline = Date.now() + WELCOME_MS_MAX;
  while (!output.includes('curl -s ')) {
    assert.ok(child.exitCode === null && Date.now() < deadline, output);
    await sleep(25);
  }
  const urls = [...output.matchAll(/^ {2}(?:API|metrics).*$/gm)].flatMap(([line]) =>
    [...line.matchAll(/http:\/\/[\d.]+:\d+/g)].map(([url]) => url),
  );
  return { child, socket: join(dataDir, 'redis', 'redis.sock'), output: () => output, urls };
}

async function assertServing({ urls, socket }: Up): Promise<void> {
  assert.equal(urls.length, 3);
  for (const url of urls) assert.equal((await fetch(`${url}/livez`)).status, 200);
  assert.equal(await pingRedis({ socket }), 'ready');
}

async function isServing(url: string): Promise<boolean> {
  return fetch(`${url}/livez`).then(
    () => true,
    () => false,
  );
}

/** Nothing listens any more, nor comes back. */
async function assertGone({ urls, socket }: Up, withinMs = 0): Promise<void> {
  const deadline = Date.now() + withinMs;
  for (;;) {
    const serving = await Promise.all(urls.map(isServing));
    const redis = await pingRedis({ socket });
    if (!serving.includes(true) && redis === 'absent') break;
    assert.ok(Date.now() < deadline, `still there: ${serving.join()} and Redis ${redis}`);
    await sleep(50);
  }
}

async function exitCode({ child }: Up): Promise<number | null> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  return child.exitCode;
}

/** The processes that have said anything, by their log lines, and Redis. */
function pidsOf({ output }: Up): number[] {
  const pids = [...output().matchAll(/(?:"pid":|\(pid )(\d+)/g)].map(([, pid]) => Number(pid));
  return [...new Set(pids)];
}

test('npm start serves; SIGTERM to npm ends everything, with exit code 0', async context => {
  const up = await start(context, 'npm', 'start');
  await assertServing(up);
  up.child.kill('SIGTERM');
  assert.equal(await exitCode(up), 0, up.output());
  await assertGone(up);
});

test('Ctrl-C, which reaches npm and all below it at once, ends everything in order', async context => {
  const up = await start(context, 'npm', 'start');
  process.kill(-(up.child.pid ?? 0), 'SIGINT');
  assert.equal(await exitCode(up), 0, up.output());
  assert.match(up.output(), /frechet: stopped/);
  await assertGone(up);
});

test('killed without warning, it leaves nothing running', async context => {
  const up = await start(context, process.execPath, UP);
  await assertServing(up);
  const pids = pidsOf(up);
  assert.equal(pids.length, 3); // Redis, gateway, worker
  context.after(() => pids.filter(isAlive).forEach(pid => void process.kill(pid, 'SIGKILL')));
  up.child.kill('SIGKILL');
  await exitCode(up);
  await assertGone(up, GONE_MS_MAX);
  const deadline = Date.now() + GONE_MS_MAX;
  while (pids.some(isAlive)) {
    assert.ok(Date.now() < deadline, `still running: ${pids.filter(isAlive).join()}\n${up.output()}`);
    await sleep(50);
  }
});

test('asked to stop while it starts, it stops what had started, with exit code 0', async context => {
  const dataDir = await temporaryFolder(context);
  const child = spawn(process.execPath, [UP], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: {
      PATH: process.env.PATH,
      FRECHET_DATA_DIR: dataDir,
      FRECHET_PORT: '0',
      FRECHET_ADMIN_PORT: '0',
      FRECHET_LOG_LEVEL: 'silent',
    },
  });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
    if (text.includes('Redis')) child.kill('SIGTERM');
  });
  const [code] = await once(child, 'close');
  assert.equal(code, 0, output);
  assert.doesNotMatch(output, /Frechet is up/);
  assert.equal(await pingRedis({ socket: join(dataDir, 'redis', 'redis.sock') }), 'absent');
});

test('a setting that makes no sense is named, and nothing starts', async () => {
  const child = spawn(process.execPath, [UP], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { PATH: process.env.PATH, FRECHET_ADMIN_PORT: 'eighty' },
  });
  let output = '';
  child.stderr.on('data', bytes => {
    output += bytes;
  });
  const [code] = await once(child, 'close');
  assert.equal(code, 1);
  assert.match(output, /FRECHET_ADMIN_PORT is "eighty"/);
});
