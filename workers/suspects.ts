// Blocks over which a worker may have died. The queue only says that an attempt was never ended: the worker died, was
// stopped, or lost Redis, and of four blocks side by side one may have been the cause. So a suspect runs alone, with
// a marker in the store: what dies then is its doing, and after DEATHS_MAX such deaths its job fails, and no other.

import { AssertionError } from '../shared/assert.ts';
import { FrechetError } from '../shared/errors.ts';
import type { BlockAddress, BlockAttempts } from '../shared/io/block-attempts.ts';
import type { Logger } from '../shared/io/logger.ts';
import type { Company } from './company.ts';

/** Two can be chance (a rollout without patience, a machine that fails); nobody is that unlucky alone three times. */
export const DEATHS_MAX = 3;

export interface SuspectDeps {
  readonly attempts: BlockAttempts;
  readonly company: Company;
  readonly log: Logger;
}

/**
 * Runs the work of a block: beside others, or as a suspect.
 *
 * @throws block-poisoned; what `work` throws; the signal's reason
 */
export async function runGuarded<T>(
  deps: SuspectDeps,
  address: BlockAddress,
  { isSuspect, signal }: { readonly isSuspect: boolean; readonly signal: AbortSignal },
  work: () => Promise<T>,
): Promise<T> {
  if (!isSuspect) return deps.company.run('together', signal, work);
  return deps.company.run('alone', signal, () => runMarked(deps, address, work));
}

async function runMarked<T>(deps: SuspectDeps, address: BlockAddress, work: () => Promise<T>): Promise<T> {
  const { attempts, log } = deps;
  const deaths = await attempts.count(address);
  if (deaths >= DEATHS_MAX) {
    const detail = `block ${address.block} ended ${deaths} workers that computed nothing else`;
    throw new FrechetError('block-poisoned', detail);
  }
  log.info({ ...address, deaths }, 'a block whose last attempt never ended runs alone');
  await attempts.begin(address);
  let done: T;
  try {
    done = await work();
  } catch (error) {
    // The process is about to end over it: a death like any other, and the marker is to tell of it.
    if (!isBug(error)) await endAttempt(deps, address);
    throw error;
  }
  await endAttempt(deps, address);
  return done;
}

/** A marker that cannot be removed is one false death; a worker that meets the block again removes its own. */
async function endAttempt({ attempts, log }: SuspectDeps, address: BlockAddress): Promise<void> {
  try {
    await attempts.end(address);
  } catch (error) {
    log.warn({ err: error, ...address }, 'the marker of an attempt stays behind');
  }
}

/** Errors that no circumstance explains. Faults of the store, of Redis and of requests are none of these. */
export function isBug(error: unknown): error is Error {
  return [AssertionError, TypeError, RangeError, ReferenceError].some(bug => error instanceof bug);
}
