// How many bytes a tenant keeps in the store: arrays as uploaded, the lines of its batches, results as planned from the
// acceptance of their job until its deletion. Counted only for tenants that have a limit. The count is a hint in Redis that expires; then it is
// measured again from the store.

import { FrechetError } from '../../shared/errors.ts';
import { redisOutage } from '../../shared/io/redis.ts';
import { planJob } from '../../shared/job/job-plan.ts';
import type { GatewayDeps } from '../deps.ts';

/** Between two measures errors of counting (a crash between storing and counting) can add up. */
const MEASURE_SECONDS = 3_600;
/** Room comes from deletions, of which nobody knows the rate. */
const RETRY_AFTER_SECONDS = 60;
const PAGE_SIZE = 500;

type StoredDeps = Pick<GatewayDeps, 'arrays' | 'jobs' | 'live' | 'log' | 'tenants'>;

export type StoredBytes = ReturnType<typeof createStoredBytes>;

export function createStoredBytes(deps: StoredDeps) {
  const isCounted = (tenant: string, bytes: number) =>
    bytes > 0 && deps.tenants.limitsOf(tenant).storedBytes !== undefined;

  /** Counts bytes that are gone, or did not come. Never throws: the next measure mends what is missed. */
  async function giveBack(tenant: string, bytes: number): Promise<void> {
    if (!isCounted(tenant, bytes)) return;
    try {
      await deps.live.addStoredBytes(tenant, -bytes);
    } catch (error) {
      deps.log.debug({ err: error }, 'bytes given back are not counted');
    }
  }

  return {
    giveBack,

    /** Counts bytes that are about to be stored. @throws too-many-requests, unavailable */
    async reserve(tenant: string, bytes: number): Promise<void> {
      const limit = deps.tenants.limitsOf(tenant).storedBytes;
      if (limit === undefined || bytes === 0) return;
      const stored = await addBytes(deps, tenant, bytes);
      if (stored <= limit) return;
      await giveBack(tenant, bytes);
      throw new FrechetError('too-many-requests', 'this tenant would store more bytes than it may', {
        limit,
        requested: stored,
        retryAfterSeconds: RETRY_AFTER_SECONDS,
      });
    },
  };
}

async function addBytes(deps: StoredDeps, tenant: string, bytes: number): Promise<number> {
  try {
    const stored = await deps.live.addStoredBytes(tenant, bytes);
    if (stored !== undefined) return stored;
    const measured = await measure(deps, tenant);
    await deps.live.noteStoredBytes(tenant, measured, MEASURE_SECONDS);
    return (await deps.live.addStoredBytes(tenant, bytes)) ?? measured + bytes;
  } catch (error) {
    throw error instanceof FrechetError ? error : redisOutage(error);
  }
}

async function measure({ arrays, jobs }: StoredDeps, tenant: string): Promise<number> {
  let bytes = 0;
  let cursor: string | undefined;
  do {
    const page = await arrays.list(tenant, PAGE_SIZE, cursor);
    for (const array of page.data) bytes += array.bytes;
    cursor = page.nextCursor ?? undefined;
  } while (cursor !== undefined);
  for await (const id of jobs.batches.ids(tenant)) {
    const footer = await jobs.batches.footer(tenant, id);
    // A group's lines are specs, which are not counted where they lie by themselves either.
    if (footer !== undefined && footer.isGroup !== true) bytes += footer.bytes;
  }
  for await (const jobId of jobs.jobIds(tenant)) {
    const spec = await jobs.readSpec(tenant, jobId);
    if (spec !== undefined) bytes += planJob(spec).result.dataBytes ?? 0;
  }
  return bytes;
}
