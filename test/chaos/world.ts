// A whole Frechet whose Redis stands behind a proxy, and everything that can be done to it.

import { mkdir, rm, rmdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pingRedis } from '../../deploy/local/redis-process.ts';
import { assert } from '../../shared/assert.ts';
import { connectRedis } from '../../shared/io/redis.ts';
import { withReleasers } from '../../shared/io/releasers.ts';
import { type Stack, type StackOptions, startStack } from '../support/processes.ts';
import { startTestRedis, type TestRedis } from '../support/redis.ts';
import { type SilentProxy, startSilentProxy } from './silent-proxy.ts';

export interface World {
  readonly stack: Stack;
  readonly redis: TestRedis;
  readonly proxy: SilentProxy;
  stop(): Promise<void>;
}

export async function startWorld(options: StackOptions = {}): Promise<World> {
  const { value, release } = await withReleasers(async releasers => {
    const redis = await startTestRedis();
    releasers.push('Redis', redis.stop);
    const proxy = await startSilentProxy({ path: socketOf(redis) });
    releasers.push('the proxy', proxy.close);
    const stack = await startStack({ ...options, env: { ...options.env, FRECHET_REDIS_URL: proxy.url } });
    releasers.push('the stack', stack.stop);
    return { redis, proxy, stack };
  });
  return { ...value, stop: release };
}

function socketOf(redis: TestRedis): string {
  return redis.url.slice('unix:'.length);
}

/** Redis is away, and is found again when the fault is mended. */
export const REDIS_OUTAGES = ['killed', 'stopped', 'silent', 'read-only'] as const;
/** Redis answers, and what it answers is that it will not: -MISCONF, -OOM, -LOADING. */
export const REDIS_REFUSALS = ['unable to save', 'out of memory', 'loading'] as const;
export const REDIS_FAULTS = [...REDIS_OUTAGES, ...REDIS_REFUSALS] as const;
export type RedisFault = (typeof REDIS_FAULTS)[number];

/** A restarted Redis replays so many commands, and waits this long before each of them, so that it loads for 5 s. */
const REPLAYED = 30_000;
const FILL_LOG = `if redis.call('EXISTS', 'filler') == 0 then
  for i = 1, ${REPLAYED} do redis.call('SET', 'filler', i) end
end`;
const SLOW_LOADING = ['--key-load-delay', '100'];
const POLL_MS = 20;

/** Lets the fault begin. @returns its end */
export async function breakRedis(
  { redis, proxy }: World,
  fault: RedisFault,
): Promise<() => Promise<unknown>> {
  switch (fault) {
    case 'killed':
      await redis.kill();
      return () => redis.restart();
    case 'stopped': {
      const { pid } = redis;
      process.kill(pid, 'SIGSTOP');
      return async () => void process.kill(pid, 'SIGCONT');
    }
    case 'silent':
      proxy.fallSilent();
      return async () => proxy.speak();
    case 'read-only':
      // A replica of nobody: it keeps its data, answers questions and refuses to write.
      await command(redis, 'REPLICAOF', '127.0.0.1', '1');
      return () => command(redis, 'REPLICAOF', 'NO', 'ONE');
    case 'unable to save':
      return refuseToSave(redis);
    case 'out of memory':
      await command(redis, 'CONFIG', 'SET', 'maxmemory', '1');
      return () => command(redis, 'CONFIG', 'SET', 'maxmemory', '0');
    case 'loading': {
      await command(redis, 'EVAL', FILL_LOG, '0');
      await redis.kill();
      // It ends by itself.
      const loaded = redis.restart(SLOW_LOADING);
      assert(await isLoading(redis), 'Redis loads for long enough to be asked meanwhile');
      return () => loaded;
    }
  }
}

async function isLoading(redis: TestRedis): Promise<boolean> {
  for (;;) {
    const answer = await pingRedis({ socket: socketOf(redis) });
    if (answer !== 'absent') return answer === 'loading';
    await sleep(POLL_MS);
  }
}

/** A folder in the place of its snapshot: saving fails, and Redis, which is to save, takes no writes meanwhile. */
async function refuseToSave(redis: TestRedis): Promise<() => Promise<void>> {
  const snapshot = join(dirname(socketOf(redis)), 'dump.rdb');
  await rm(snapshot, { force: true });
  await mkdir(snapshot);
  await command(redis, 'CONFIG', 'SET', 'save', '3600 1000000');
  await save(redis, 'err');
  return async () => {
    await rmdir(snapshot);
    await save(redis, 'ok');
    await command(redis, 'CONFIG', 'SET', 'save', '');
  };
}

async function save(redis: TestRedis, status: 'ok' | 'err'): Promise<void> {
  await command(redis, 'BGSAVE');
  while (!String(await command(redis, 'INFO', 'persistence')).includes(`rdb_last_bgsave_status:${status}`))
    await sleep(POLL_MS);
}

/** Takes everything Redis ever knew: memory, append-only file and all. */
export async function wipeRedis({ redis }: World): Promise<void> {
  await redis.kill();
  for (const name of ['appendonlydir', 'dump.rdb'])
    await rm(join(dirname(socketOf(redis)), name), { recursive: true, force: true });
  await redis.restart();
}

async function command(redis: TestRedis, name: string, ...args: string[]): Promise<unknown> {
  const connection = connectRedis(redis.url, 'consumer', () => undefined);
  try {
    return await connection.call(name, ...args);
  } finally {
    connection.disconnect();
  }
}
