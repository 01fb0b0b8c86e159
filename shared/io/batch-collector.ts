// Batches whose time has passed. A batch goes when every one of its jobs would have gone by itself, and takes along
// what is left of them.

import { decodeTime } from 'ulid';
import { EXPIRED_JOB_SECONDS, EXPIRES_IN_SECONDS_MIN, LEFTOVER_AGE_SECONDS } from '../job/limits.ts';
import type { CollectCounts, CollectDeps } from './collector.ts';
import { UNMARKED_SECONDS } from './open-jobs.ts';

/** Does what is due for one batch. @returns when (ms) the next thing is */
export async function collectBatch(
  deps: CollectDeps,
  tenant: string,
  id: string,
  counts: CollectCounts,
): Promise<number> {
  const { batches } = deps.jobs;
  const nowMs = deps.clock();
  const [footer, outcome] = [await batches.footer(tenant, id), await batches.readOutcome(tenant, id)];
  if (footer !== undefined && outcome === undefined) {
    await reopen(deps, tenant, id, counts);
    return nowMs + EXPIRES_IN_SECONDS_MIN * 1000;
  }
  // Without a footer: a deletion cut short, a slice of a straggler; or a batch that is just being accepted, which is young.
  const dueMs =
    footer === undefined || outcome === undefined
      ? decodeTime(id) + LEFTOVER_AGE_SECONDS * 1000
      : Date.parse(outcome.finishedAt) + (footer.expiresIn + EXPIRED_JOB_SECONDS) * 1000;
  if (nowMs < dueMs) return dueMs;
  await deps.jobs.deleteBatch(tenant, id, footer);
  counts.batches += 1;
  return Number.POSITIVE_INFINITY;
}

/** As with a job: a gateway that stood still between marker and lines finds the marker swept as an orphan's. */
async function reopen(
  { openJobs, clock, log }: CollectDeps,
  tenant: string,
  batchId: string,
  counts: CollectCounts,
): Promise<void> {
  if (clock() - decodeTime(batchId) < UNMARKED_SECONDS * 1000) return;
  if (await openJobs.hasBatch(tenant, batchId)) return;
  await openJobs.addBatch(tenant, batchId);
  counts.reopened += 1;
  log.warn({ tenant, batchId }, 'an unfinished batch had lost its marker');
}
