// What the installations in trouble have in common: faults that go on until released, since alerts look at rates.

import { setTimeout as sleep } from 'node:timers/promises';
import type { Releasers } from '../../../../shared/io/releasers.ts';
import { type Stack, startStack } from '../../../support/processes.ts';
import { startTestRedis, type TestRedis } from '../../../support/redis.ts';

/**
 * Does something again and again, with a pause in between, until released. What fails, fails.
 *
 * @param action may wait on the signal, which says that it is over
 */
export function repeat(
  releasers: Releasers,
  pauseMs: number,
  action: (signal: AbortSignal) => Promise<unknown>,
): void {
  const over = new AbortController();
  const run = async () => {
    while (!over.signal.aborted) {
      await action(over.signal).catch(() => undefined);
      await sleep(pauseMs, undefined, over).catch(() => undefined);
    }
  };
  const ended = run();
  releasers.push('a fault', async () => {
    over.abort();
    await ended;
  });
}

/** A gateway over a Redis whose process is ours to stop. */
export async function startWithoutWorker(
  releasers: Releasers,
): Promise<{ readonly redis: TestRedis; readonly stack: Stack }> {
  const redis = await startTestRedis();
  releasers.push('Redis', redis.stop);
  const stack = await startStack({ workers: 0, env: { FRECHET_REDIS_URL: redis.url } });
  releasers.push('the stack', stack.stop);
  return { redis, stack };
}

/** `host:port`, as Prometheus wants it. */
export function hostOf(url: string): string {
  return new URL(url).host;
}
