// Deleting a finished job with its result.

import { FrechetError } from '../../shared/errors.ts';
import { planJob } from '../../shared/job/job-plan.ts';
import type { GatewayDeps } from '../deps.ts';
import { absentJob } from './known-job.ts';

/** Of many at once one removes the job; to the others it is absent. @throws not-found, job-not-finished */
export async function removeJob(
  { jobs, storedBytes }: Pick<GatewayDeps, 'jobs' | 'storedBytes'>,
  tenant: string,
  jobId: string,
): Promise<void> {
  const spec = await jobs.readSpec(tenant, jobId);
  if (spec === undefined) throw absentJob();
  if (!(await jobs.hasOutcome(tenant, jobId))) {
    // Somebody else's deletion takes the outcome after the spec.
    if (!(await jobs.hasSpec(tenant, jobId))) throw absentJob();
    throw new FrechetError('job-not-finished', 'the job has not finished; cancel it first');
  }
  // An open marker that is still there stays: the reconciler removes it once Redis has heard that the job is over.
  if (!(await jobs.deleteJob(tenant, jobId))) throw absentJob();
  await storedBytes.giveBack(tenant, planJob(spec).result.dataBytes ?? 0);
}
