// A private, real Redis for one test file: in a temporary folder, on a Unix socket, gone afterwards.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findRedis } from '../../deploy/local/redis-binary.ts';
import { startRedis } from '../../deploy/local/redis-process.ts';

export interface TestRedis {
  /** `unix:` and a path. */
  readonly url: string;
  readonly pid: number;
  /** Ends it as an operator would and removes its folder. */
  stop(): Promise<void>;
  /** Ends it without warning. What it had not synced is lost; `restart` brings the rest back. */
  kill(): Promise<void>;
  /** Starts it again at the same URL over the same data, after `kill`; resolves when it has loaded them. */
  restart(settings?: readonly string[]): Promise<void>;
}

/** Starts a Redis of its own; the caller stops it. */
export async function startTestRedis(): Promise<TestRedis> {
  const dir = await mkdtemp(join(tmpdir(), 'frechet-redis-'));
  const searchPath = process.env.PATH ?? '';
  const binary = await findRedis({ searchPath });
  const address = { socket: join(dir, 'redis.sock') };
  const start = (settings: readonly string[] = []) =>
    startRedis({ binary, dir, searchPath, address, settings });
  let redis = await start();
  return {
    url: redis.url,
    get pid() {
      return redis.pid;
    },
    async stop() {
      await redis.stop();
      await rm(dir, { recursive: true, force: true });
    },
    async kill() {
      process.kill(redis.pid, 'SIGKILL');
      await redis.ended;
    },
    async restart(settings) {
      redis = await start(settings);
    },
  };
}
