// Whether an unfinished job needs an array.

import { arraysOf } from '../../shared/job/arrays-of.ts';
import type { GatewayDeps } from '../deps.ts';

type UseDeps = Pick<GatewayDeps, 'jobs' | 'openJobs'>;

export async function arrayInUse(deps: UseDeps, tenant: string, arrayId: string): Promise<boolean> {
  for (const jobId of await deps.openJobs.newestFirst(tenant)) {
    const spec = await deps.jobs.readSpec(tenant, jobId);
    if (spec === undefined || !arraysOf(spec).has(arrayId)) continue;
    if (!(await deps.jobs.hasOutcome(tenant, jobId))) return true;
  }
  return false;
}
