// Whether an unfinished job needs an array.

import { arraysOf } from '../../shared/job/arrays-of.ts';
import type { GatewayDeps } from '../deps.ts';

type UseDeps = Pick<GatewayDeps, 'jobs' | 'openJobs'>;

export async function arrayInUse(deps: UseDeps, tenant: string, arrayId: string): Promise<boolean> {
  for (const batchId of await deps.openJobs.batches(tenant)) {
    if (await batchUses(deps, tenant, batchId, arrayId)) return true;
  }
  for (const jobId of await deps.openJobs.single(tenant)) {
    const spec = await deps.jobs.readSpec(tenant, jobId);
    if (spec === undefined || !arraysOf(spec).has(arrayId)) continue;
    if (!(await deps.jobs.hasOutcome(tenant, jobId))) return true;
  }
  return false;
}

/** By the list that a batch keeps for this: its jobs are too many to be asked. */
async function batchUses(
  { jobs }: UseDeps,
  tenant: string,
  batchId: string,
  arrayId: string,
): Promise<boolean> {
  const batch = await jobs.batches.open(tenant, batchId);
  if (batch === undefined) return false;
  try {
    return (await batch.arrays()).includes(arrayId);
  } finally {
    await batch.close();
  }
}
