// Whether an unfinished job needs an array.

import type { JobSpec, MatrixSpec } from '../../shared/job/spec.ts';
import type { GatewayDeps } from '../deps.ts';

type UseDeps = Pick<GatewayDeps, 'jobs' | 'openJobs'>;

export async function arrayInUse(deps: UseDeps, tenant: string, arrayId: string): Promise<boolean> {
  for (const jobId of await deps.openJobs.newestFirst(tenant)) {
    const spec = await deps.jobs.readSpec(tenant, jobId);
    if (spec === undefined || !usesArray(spec, arrayId)) continue;
    if (!(await deps.jobs.hasOutcome(tenant, jobId))) return true;
  }
  return false;
}

function usesArray({ operands, direction, cotangent }: JobSpec, arrayId: string): boolean {
  return [...Object.values(operands), direction, cotangent].some(
    matrix => matrix !== undefined && arrayOf(matrix) === arrayId,
  );
}

function arrayOf({ source }: MatrixSpec): string | undefined {
  return source !== undefined && 'array' in source ? source.array : undefined;
}
