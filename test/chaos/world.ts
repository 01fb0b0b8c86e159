// A whole Frechet whose Redis stands behind a proxy, and everything that can be done to it.

import { rm } from 'node:fs/promises';
import { dirname } from 'node:path';
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

/** A fault of Redis that lasts until it is mended. */
export const REDIS_FAULTS = ['killed', 'stopped', 'silent', 'read-only'] as const;
export type RedisFault = (typeof REDIS_FAULTS)[number];

/** Lets the fault begin. @returns its end */
export async function breakRedis({ redis, proxy }: World, fault: RedisFault): Promise<() => Promise<void>> {
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
  }
}

/** Takes everything Redis ever knew: memory, append-only file and all. */
export async function wipeRedis({ redis }: World): Promise<void> {
  await redis.kill();
  await rm(`${dirname(socketOf(redis))}/appendonlydir`, { recursive: true, force: true });
  await redis.restart();
}

async function command(redis: TestRedis, name: string, ...args: string[]): Promise<void> {
  const connection = connectRedis(redis.url, 'consumer', () => undefined);
  try {
    await connection.call(name, ...args);
  } finally {
    connection.disconnect();
  }
}
