// Reading a job: its state is derived from what lies in the store and, for a job that runs, from hints in Redis.

import type { GatewayDeps } from '../deps.ts';
import { type JobDocument, type JobFacts, jobDocument } from './job-document.ts';
import { findJob, type KnownJob } from './known-job.ts';

export type ReadDeps = Pick<GatewayDeps, 'jobs' | 'live' | 'log'>;

/** @throws not-found */
export async function readJob(deps: ReadDeps, tenant: string, jobId: string): Promise<JobDocument> {
  return describeJob(deps, await findJob(deps.jobs, tenant, jobId));
}

export async function describeJob(deps: ReadDeps, job: KnownJob): Promise<JobDocument> {
  return jobDocument(job, await readFacts(deps, job.spec));
}

export async function readFacts(
  deps: ReadDeps,
  { tenant, id }: { readonly tenant: string; readonly id: string },
): Promise<JobFacts> {
  const known = await deps.jobs.readOutcome(tenant, id);
  // A result has all its blocks; nobody need count them.
  if (known?.state === 'succeeded') return { outcome: known, progress: undefined, blocksDone: 0 };
  const [blocks, progress] = await Promise.all([deps.jobs.listBlocks(tenant, id), liveProgress(deps, id)]);
  // A job that ends while its blocks are counted leaves Redis and would look queued: so look for an outcome again.
  const outcome = known ?? (await deps.jobs.readOutcome(tenant, id));
  return { outcome, progress, blocksDone: blocks.length };
}

/** Without Redis a job that runs looks queued, and that is all: no reading depends on it. */
async function liveProgress(deps: ReadDeps, jobId: string): Promise<JobFacts['progress']> {
  try {
    return await deps.live.progress(jobId);
  } catch (error) {
    deps.log.debug({ err: error }, 'live progress is not known');
    return undefined;
  }
}
