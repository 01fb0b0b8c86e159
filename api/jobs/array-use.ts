// Whether an unfinished job needs an array.

import { isRejected, specOfLine } from '../../shared/io/batch-store.ts';
import { arraysOf } from '../../shared/job/arrays-of.ts';
import type { GatewayDeps } from '../deps.ts';

type UseDeps = Pick<GatewayDeps, 'jobs' | 'openJobs' | 'batchProgress'>;

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

/** Its lines are gone through only where one of them reads the array, and not all have ended. */
async function batchUses(
  { jobs, batchProgress }: UseDeps,
  tenant: string,
  batchId: string,
  arrayId: string,
): Promise<boolean> {
  const batch = await jobs.batches.open(tenant, batchId);
  if (batch === undefined) return false;
  try {
    if (!(await batch.arrays()).includes(arrayId)) return false;
    const states = await batchProgress.look(tenant, batchId);
    if (states === undefined || !states.includes(undefined)) return false;
    let at = 0;
    for await (const record of batch.records()) {
      const isOpen = states[at] === undefined && !isRejected(record);
      if (isOpen && arraysOf(specOfLine(batch.footer, at + 1, record.spec)).has(arrayId)) return true;
      at += 1;
    }
    return false;
  } finally {
    await batch.close();
  }
}
