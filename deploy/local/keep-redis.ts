// Redis, and Redis again whenever it goes away: our own may crash, one that we share may be stopped by its owner.

import { setTimeout as sleep } from 'node:timers/promises';
import { type EnsureRedisOptions, ensureRedis, type RedisService } from './redis.ts';

const RESTART_MS = 500;

/** Its URL holds over restarts: the socket stays where it is. `stop` ends Redis where it is ours. */
export interface KeptRedis {
  readonly url: string;
  stop(): Promise<void>;
}

/** @throws unavailable where there is none to begin with; later losses are mended, and logged */
export async function keepRedis(options: EnsureRedisOptions): Promise<KeptRedis> {
  const stopping = new AbortController();
  let redis: RedisService = await ensureRedis(options);

  async function keep(): Promise<void> {
    for (;;) {
      await redis.ended;
      if (stopping.signal.aborted) return;
      options.log('Redis went away; starting it again');
      await sleep(RESTART_MS, undefined, { signal: stopping.signal }).catch(() => {});
      if (stopping.signal.aborted) return;
      try {
        redis = await ensureRedis(options);
      } catch (error) {
        options.log((error as Error).message); // and once more: the last one's `ended` has resolved
      }
      if (stopping.signal.aborted) return redis.stop(); // asked to stop while it started
    }
  }
  void keep();

  return {
    url: redis.url,
    stop() {
      stopping.abort();
      return redis.stop();
    },
  };
}
