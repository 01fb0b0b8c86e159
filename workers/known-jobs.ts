// Specs and plans of the jobs a worker is busy with: read and derived once, not once a block.

import { FrechetError } from '../shared/errors.ts';
import type { JobStore } from '../shared/io/job-store.ts';
import { type JobPlan, planJob } from '../shared/job/job-plan.ts';
import type { JobSpec } from '../shared/job/spec.ts';
import { isBug } from './suspects.ts';

export interface KnownJob {
  readonly spec: JobSpec;
  readonly plan: JobPlan;
}

/** Enough for every job a worker can have blocks of at one time, and for a run of small ones. */
const KNOWN_JOBS_MAX = 256;

export type KnownJobs = ReturnType<typeof createKnownJobs>;

export function createKnownJobs(jobs: JobStore) {
  /** Insertion order is recency. */
  const known = new Map<string, KnownJob>();
  return {
    /** Undefined where the job was deleted. @throws unavailable where this worker cannot make a plan of its spec */
    async get(tenant: string, jobId: string): Promise<KnownJob | undefined> {
      const key = `${tenant}/${jobId}`;
      const remembered = known.get(key);
      known.delete(key);
      // A deleted job has no outcome that would tell of its end.
      if (remembered !== undefined && !(await jobs.hasSpec(tenant, jobId))) return undefined;
      const job = remembered ?? (await read(jobs, tenant, jobId));
      if (job === undefined) return undefined;
      known.set(key, job);
      if (known.size > KNOWN_JOBS_MAX) known.delete(known.keys().next().value!);
      return job;
    },
  };
}

async function read(jobs: JobStore, tenant: string, jobId: string): Promise<KnownJob | undefined> {
  const spec = await jobs.readSpec(tenant, jobId);
  return spec && { spec, plan: planStored(spec) };
}

/**
 * The plan of a stored job. What a newer gateway accepted may be beyond this worker, and then it is another's to compute;
 * it is no reason to end.
 *
 * @throws unavailable
 */
export function planStored(spec: JobSpec): JobPlan {
  try {
    return planJob(spec);
  } catch (error) {
    if (!isBug(error)) throw error;
    throw new FrechetError('unavailable', 'this version cannot plan the job', {}, { cause: error });
  }
}
