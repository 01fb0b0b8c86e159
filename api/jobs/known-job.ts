// What never changes about an accepted job: its spec, and the plan that follows from it.

import { FrechetError } from '../../shared/errors.ts';
import type { JobStore } from '../../shared/io/job-store.ts';
import { type JobPlan, planJob } from '../../shared/job/job-plan.ts';
import type { JobSpec } from '../../shared/job/spec.ts';

export interface KnownJob {
  readonly spec: JobSpec;
  readonly plan: JobPlan;
}

/** @throws not-found where the tenant has no such job */
export async function findJob(jobs: JobStore, tenant: string, jobId: string): Promise<KnownJob> {
  const spec = await jobs.readSpec(tenant, jobId);
  if (spec === undefined) throw absentJob();
  return { spec, plan: planJob(spec) };
}

export function absentJob(): FrechetError {
  return new FrechetError('not-found', 'there is no such job');
}
