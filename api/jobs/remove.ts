// Deleting a finished job with its result.

import { FrechetError } from '../../shared/errors.ts';
import type { GatewayDeps } from '../deps.ts';

type RemoveDeps = Pick<GatewayDeps, 'jobs' | 'openJobs'>;

/** @throws not-found, job-not-finished */
export async function removeJob(deps: RemoveDeps, tenant: string, jobId: string): Promise<void> {
  const spec = await deps.jobs.readSpec(tenant, jobId);
  if (spec === undefined) throw new FrechetError('not-found', 'there is no such job');
  if (!(await deps.jobs.hasOutcome(tenant, jobId))) {
    throw new FrechetError('job-not-finished', 'the job has not finished; cancel it first');
  }
  // The marker may still be there; without its job it would only wait to be swept.
  await deps.openJobs.remove(tenant, jobId);
  await deps.jobs.deleteJob(tenant, jobId);
}
