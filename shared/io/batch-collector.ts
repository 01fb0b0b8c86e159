// Batches whose time has passed. A batch goes when every one of its jobs would have gone by itself, and takes along
// what is left of them.

import { EXPIRED_JOB_SECONDS } from '../job/limits.ts';
import type { JobStore } from './job-store.ts';

/** @returns how many batches went */
export async function collectBatches(
  { jobs, clock }: { readonly jobs: JobStore; readonly clock: () => number },
  tenant: string,
): Promise<number> {
  let removed = 0;
  for await (const id of jobs.batches.ids(tenant)) {
    const outcome = await jobs.batches.readOutcome(tenant, id);
    if (outcome === undefined) continue;
    const footer = await jobs.batches.footer(tenant, id);
    // Without a footer: a deletion that was cut short.
    const keptSeconds = footer === undefined ? 0 : footer.expiresIn + EXPIRED_JOB_SECONDS;
    if (clock() < Date.parse(outcome.finishedAt) + keptSeconds * 1000) continue;
    await jobs.deleteBatch(tenant, id, footer);
    removed += 1;
  }
  return removed;
}
