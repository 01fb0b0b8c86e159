// Specs and plans of the jobs a worker is busy with: read and derived once, not once a block.

import type { JobStore } from '../shared/io/job-store.ts';
import { type JobPlan, planJob } from '../shared/job/job-plan.ts';
import type { JobSpec } from '../shared/job/spec.ts';

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
    /** Undefined where the job was deleted. */
    async get(tenant: string, jobId: string): Promise<KnownJob | undefined> {
      const key = `${tenant}/${jobId}`;
      const job = known.get(key) ?? (await read(jobs, tenant, jobId));
      if (job === undefined) return undefined;
      known.delete(key);
      known.set(key, job);
      if (known.size > KNOWN_JOBS_MAX) known.delete(known.keys().next().value!);
      return job;
    },
  };
}

async function read(jobs: JobStore, tenant: string, jobId: string): Promise<KnownJob | undefined> {
  const spec = await jobs.readSpec(tenant, jobId);
  return spec && { spec, plan: planJob(spec) };
}
