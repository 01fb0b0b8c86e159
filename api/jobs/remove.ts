// Deleting a finished job with its result.

import { FrechetError } from '../../shared/errors.ts';
import type { GatewayDeps } from '../deps.ts';

/** @throws not-found, job-not-finished */
export async function removeJob(
  { jobs }: Pick<GatewayDeps, 'jobs'>,
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
}
