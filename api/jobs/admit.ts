// Whether there is room for more work. Decided before anything of it is stored; accepted work always has room to end.
// What one tenant uses up is 429, what all use up 503, a full store 507, each with the time after which to ask again.

import { decodeTime } from 'ulid';
import { FrechetError } from '../../shared/errors.ts';
import type { Refusal } from '../../shared/io/live.ts';
import { redisOutage } from '../../shared/io/redis.ts';
import {
  EVENT_LOOP_DELAY_MS_MAX,
  QUEUE_AGE_SECONDS_MAX,
  STORE_RESERVE_BYTES_MAX,
  STORE_RESERVE_SHARE,
  SYSTEM_BACKLOG_FLOPS_MAX,
} from '../../shared/job/limits.ts';
import type { GatewayDeps } from '../deps.ts';
import type { Arrival } from './arriving-bytes.ts';

const STORE_RETRY_SECONDS = 10;
const LOOP_RETRY_SECONDS = 2;

export type SpaceDeps = Pick<GatewayDeps, 'arriving' | 'live' | 'store'>;

export type AdmitDeps = SpaceDeps &
  Pick<GatewayDeps, 'storedBytes' | 'tenants' | 'drainRate' | 'clock' | 'log'>;

/** A job, or all jobs of a batch. */
export interface Work {
  readonly tenant: string;
  readonly id: string;
  readonly jobs: number;
  readonly flops: bigint;
  /** What the store will hold of it: results, lines, and arrays inside the request. */
  readonly bytes: number;
}

/** Refuses before a body is read where nothing could be accepted anyway. @throws unavailable, system-busy */
export async function requireQueue({
  redisFault,
  loopDelayMs,
}: Pick<GatewayDeps, 'redisFault' | 'loopDelayMs'>): Promise<void> {
  const delayMs = loopDelayMs();
  if (delayMs > EVENT_LOOP_DELAY_MS_MAX) {
    throw new FrechetError('system-busy', 'this gateway has more to do than it can keep up with', {
      limit: EVENT_LOOP_DELAY_MS_MAX,
      requested: Math.round(delayMs),
      retryAfterSeconds: LOOP_RETRY_SECONDS,
    });
  }
  const fault = await redisFault();
  if (fault !== undefined) throw new FrechetError('unavailable', fault, { retryAfterSeconds: 2 });
}

/**
 * Takes the work's place in the backlog and its bytes in the tenant's share. Work that does not come after all gives
 * them back (`withdraw`); what a crash leaves taken, the reconciler finds.
 *
 * @throws too-many-requests, system-busy, store-full, unavailable
 */
export async function admit(deps: AdmitDeps, work: Work): Promise<void> {
  const spareBytes = await requireSpace(deps, work.bytes);
  // Lines of a batch that were all rejected wait for nobody, but are stored.
  if (work.jobs > 0) await requireMovingQueue(deps);
  await deps.storedBytes.reserve(work.tenant, work.bytes);
  if (work.jobs === 0) return;
  try {
    await takePlace(deps, work, spareBytes);
  } catch (error) {
    await deps.storedBytes.giveBack(work.tenant, work.bytes);
    throw error;
  }
}

/** Never throws. */
export async function withdraw(deps: AdmitDeps, { tenant, id, bytes }: Work): Promise<void> {
  await deps.storedBytes.giveBack(tenant, bytes);
  try {
    await deps.live.release(id);
  } catch (error) {
    deps.log.debug({ err: error }, 'a place in the backlog is not given back yet');
  }
}

/**
 * New work leaves room on the volume for the results that accepted work has still to store, for uploads under way, and a
 * reserve for all that is small. While Redis is away what is owed is unknown, and only arrays come.
 *
 * @returns the bytes that results still owed and uploads may come to; undefined where the store does not know its size
 * @throws store-full
 */
export async function requireSpace(deps: SpaceDeps, bytes: number): Promise<number | undefined> {
  const space = await askSpace(deps);
  refuseBeyond(space, deps.arriving.total, bytes);
  return space?.spareBytes;
}

/** Takes the room of an upload that is about to come. Its end has to be told. @throws store-full */
export async function takeSpace(deps: SpaceDeps, bytes: number): Promise<Arrival> {
  const space = await askSpace(deps);
  // Nothing is awaited between looking and taking: of two uploads at once the second sees the first.
  refuseBeyond(space, deps.arriving.total, bytes);
  return deps.arriving.expect(bytes);
}

interface Space {
  readonly spareBytes: number;
  readonly owedBytes: number;
}

async function askSpace({ store, live }: SpaceDeps): Promise<Space | undefined> {
  const [usage, owedBytes] = await Promise.all([store.usage(), live.owedBytes().catch(() => 0)]);
  if (usage === undefined) return undefined;
  const reserve = Math.min(STORE_RESERVE_BYTES_MAX, usage.totalBytes * STORE_RESERVE_SHARE);
  return { spareBytes: Math.max(0, Math.floor(usage.freeBytes - reserve)), owedBytes };
}

function refuseBeyond(space: Space | undefined, arrivingBytes: number, bytes: number): void {
  if (space === undefined) return;
  const roomBytes = space.spareBytes - space.owedBytes - arrivingBytes;
  if (bytes > roomBytes || space.spareBytes === 0) throw storeFull(roomBytes, bytes);
}

function storeFull(roomBytes: number, requested: number): FrechetError {
  return new FrechetError('store-full', 'the store has no room for so many bytes', {
    limit: Math.max(0, roomBytes),
    requested,
    retryAfterSeconds: STORE_RETRY_SECONDS,
  });
}

async function requireMovingQueue({ live, drainRate, clock }: AdmitDeps): Promise<void> {
  const outage = (error: unknown) => {
    throw redisOutage(error);
  };
  const pressure = await live.pressure().catch(outage);
  drainRate.observe(pressure);
  if (pressure.oldestWaiting === undefined) return;
  const ageSeconds = (clock() - decodeTime(pressure.oldestWaiting)) / 1000;
  if (ageSeconds <= QUEUE_AGE_SECONDS_MAX) return;
  const { queued, backlogFlops } = await live.load().catch(outage);
  throw new FrechetError('system-busy', 'jobs have been waiting for too long, in seconds', {
    limit: QUEUE_AGE_SECONDS_MAX,
    requested: Math.round(ageSeconds),
    retryAfterSeconds: drainRate.secondsFor({ jobs: queued, flops: backlogFlops }),
  });
}

async function takePlace(
  { arriving, live, tenants, drainRate }: AdmitDeps,
  work: Work,
  spareBytes: number | undefined,
): Promise<void> {
  const storeBytesMax = spareBytes === undefined ? undefined : Math.max(0, spareBytes - arriving.total);
  const { queuedJobs, queuedFlops } = tenants.limitsOf(work.tenant);
  const refused = await live
    .admit(work, {
      tenantJobsMax: queuedJobs,
      tenantFlopsMax: queuedFlops,
      systemFlopsMax: SYSTEM_BACKLOG_FLOPS_MAX,
      storeBytesMax,
    })
    .catch((error: unknown) => {
      throw redisOutage(error);
    });
  if (refused === undefined) return;
  // Somebody else took the room a moment ago.
  if (refused.limit === 'store-bytes') throw storeFull((storeBytesMax ?? 0) - refused.current, work.bytes);
  if (refused.limit === 'tenant-jobs') {
    const requested = refused.current + work.jobs;
    throw new FrechetError('too-many-requests', 'as many jobs of this tenant are unfinished as may be', {
      limit: queuedJobs,
      requested,
      retryAfterSeconds: drainRate.secondsFor({ jobs: requested - queuedJobs }),
    });
  }
  throw tooManyFlops(refused, work, queuedFlops, drainRate);
}

function tooManyFlops(
  { limit, current }: Refusal,
  { flops }: Work,
  queuedFlops: bigint | undefined,
  drainRate: AdmitDeps['drainRate'],
): FrechetError {
  const isTenant = limit === 'tenant-flops';
  const max = (isTenant ? queuedFlops : undefined) ?? SYSTEM_BACKLOG_FLOPS_MAX;
  const excess = current + Number(flops) - Number(max);
  return new FrechetError(
    isTenant ? 'too-many-requests' : 'system-busy',
    isTenant ? 'as many flops of this tenant wait as may be' : 'as many flops wait as may be',
    {
      limit: String(max),
      requested: String(BigInt(Math.round(current)) + flops),
      retryAfterSeconds: drainRate.secondsFor({ flops: excess }),
    },
  );
}
