// Which arrays a job needs, and whether an unfinished job needs a given one.

import type { JobSpec } from '../../shared/job/spec.ts';
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

/** Ids of the arrays a job reads. */
export function arraysOf({ operands, direction, cotangent }: JobSpec): Set<string> {
  const matrices = [...Object.values(operands), direction, cotangent];
  const sources = matrices.flatMap(matrix => matrix?.source ?? []);
  return new Set(sources.flatMap(source => ('array' in source ? source.array : [])));
}
