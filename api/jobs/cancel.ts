// Cancelling a job: an outcome like any other, so exactly one of cancel, success and failure wins. Everything after
// the outcome only makes it known sooner; a worker that hears nothing finds it in the store.

import { errorCode, FrechetError } from '../../shared/errors.ts';
import type { Outcome } from '../../shared/job/outcome.ts';
import type { JobSpec } from '../../shared/job/spec.ts';
import type { GatewayDeps } from '../deps.ts';
import type { JobDocument } from './job-document.ts';
import { absentJob, findJob } from './known-job.ts';
import { describeJob, readFacts } from './read.ts';

type CancelDeps = Pick<GatewayDeps, 'jobs' | 'live' | 'log' | 'openJobs' | 'metrics' | 'clock'>;

/**
 * Ends an unfinished job. Cancelling a cancelled job again changes nothing.
 *
 * @throws not-found, job-finished (it succeeded or failed)
 */
export async function cancelJob(deps: CancelDeps, tenant: string, jobId: string): Promise<JobDocument> {
  const job = await findJob(deps.jobs, tenant, jobId);
  const { progress } = await readFacts(deps, job.spec);
  const outcome = cancelledOutcome(job.spec, progress?.startedAt, deps.clock());
  if (await deps.jobs.putOutcome(job.spec, outcome)) {
    await makeKnown(deps, job.spec, deps.clock());
  } else {
    refuseFinished(await deps.jobs.readOutcome(tenant, jobId));
  }
  // Deleted meanwhile, it may have ended otherwise; nobody may be told of a cancellation then.
  if (!(await deps.jobs.hasSpec(tenant, jobId))) throw absentJob();
  return describeJob(deps, job);
}

function cancelledOutcome(spec: JobSpec, startedAt: string | undefined, nowMs: number): Outcome {
  return {
    version: 1,
    state: 'cancelled',
    ...(startedAt === undefined ? {} : { startedAt }),
    finishedAt: new Date(nowMs).toISOString(),
    expiresAt: new Date(nowMs + spec.expiresIn * 1000).toISOString(),
  };
}

function refuseFinished(outcome: Outcome | undefined): void {
  if (outcome?.state !== 'succeeded' && outcome?.state !== 'failed') return;
  throw new FrechetError('job-finished', `the job has ${outcome.state} and cannot be cancelled`);
}

async function makeKnown(deps: CancelDeps, spec: JobSpec, nowMs: number): Promise<void> {
  deps.metrics.frechet_jobs_finished_total.inc({ operation: spec.operation, outcome: 'cancelled' });
  const seconds = (nowMs - Date.parse(spec.createdAt)) / 1000;
  deps.metrics.frechet_job_duration_seconds.observe({ operation: spec.operation }, Math.max(0, seconds));
  try {
    await deps.live.publish({ type: 'cancel', tenant: spec.tenant, jobId: spec.id });
    await deps.live.noteFinished(spec.id);
    await deps.openJobs.remove(spec.tenant, spec.id);
  } catch (error) {
    // The marker stays, so the reconciler does the rest later.
    deps.log.warn(
      { err: error, code: errorCode(error), jobId: spec.id },
      'a cancelled job is not announced yet',
    );
  }
}
