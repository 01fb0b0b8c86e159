// Deleting a finished job with its result.

import { FrechetError } from '../../shared/errors.ts';
import { planJob } from '../../shared/job/job-plan.ts';
import type { GatewayDeps } from '../deps.ts';

/** @throws not-found, job-not-finished */
export async function removeJob(
  { jobs, storedBytes }: Pick<GatewayDeps, 'jobs' | 'storedBytes'>,
  tenant: string,
  jobId: string,
): Promise<void> {
  const spec = await jobs.readSpec(tenant, jobId);
  if (spec === undefined) throw new FrechetError('not-found', 'there is no such job');
  if (!(await jobs.hasOutcome(tenant, jobId))) {
    throw new FrechetError('job-not-finished', 'the job has not finished; cancel it first');
  }
  // An open marker that is still there stays: the reconciler removes it once Redis has heard that the job is over.
  await jobs.deleteJob(tenant, jobId);
  await storedBytes.giveBack(tenant, planJob(spec).result.dataBytes ?? 0);
}
