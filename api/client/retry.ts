// When to try again, and how long to wait before. Pure but for the clock and the dice, which are given.

import { ConnectionError, FrechetProblem } from './problem.ts';

export interface RetryPolicy {
  /** Attempts after the first. */
  readonly retries: number;
  /** Before the first retry; doubles with every further one. */
  readonly delayMs: number;
  readonly delayMsMax: number;
  /** Where the service asks for a longer pause than this, its answer is the caller's to handle. */
  readonly retryAfterSecondsMax: number;
}

export const RETRY_DEFAULT: RetryPolicy = {
  retries: 5,
  delayMs: 200,
  delayMsMax: 10_000,
  retryAfterSecondsMax: 60,
};

/** At its limit (429, 503, 507), or a proxy that could not reach it (502, 504). */
const PASSING = new Set([429, 502, 503, 504, 507]);

/**
 * Milliseconds to wait before the next attempt; undefined where there shall be none.
 *
 * @param attempt counts from 1
 * @param random from [0, 1): clients that were refused together must not come back together
 */
export function retryDelayMs(
  error: unknown,
  attempt: number,
  policy: RetryPolicy,
  random: () => number,
): number | undefined {
  if (attempt > policy.retries || !isPassing(error)) return undefined;
  const backOff = Math.min(policy.delayMs * 2 ** (attempt - 1), policy.delayMsMax);
  const asked = error instanceof FrechetProblem ? error.retryAfterSeconds : undefined;
  if (asked === undefined) return backOff * (0.5 + 0.5 * random());
  // Never before the time that was asked for; a little after it.
  return asked > policy.retryAfterSecondsMax ? undefined : asked * 1000 + backOff * random();
}

function isPassing(error: unknown): boolean {
  if (error instanceof ConnectionError) return true;
  if (!(error instanceof FrechetProblem)) return false;
  // A first attempt whose answer was lost may still be under way.
  return PASSING.has(error.status) || error.slug === 'idempotency-in-progress';
}

/** Resolves after `ms`. @throws the signal's reason as soon as it aborts */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const onAbort = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    }, ms);
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}
