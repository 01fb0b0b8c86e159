// Listing jobs, newest first. The cursor is the last job looked at.

import { setImmediate as breathe } from 'node:timers/promises';
import { FrechetError } from '../../shared/errors.ts';
import type { Page } from '../../shared/io/array-store.ts';
import { isJobId } from '../../shared/io/job-store.ts';
import { planJob } from '../../shared/job/job-plan.ts';
import type { JobState } from '../../shared/job/outcome.ts';
import type { JobSpec } from '../../shared/job/spec.ts';
import { deriveState } from '../../shared/job/state.ts';
import type { GatewayDeps } from '../deps.ts';
import { type JobDocument, type JobFacts, jobDocument } from './job-document.ts';
import { type ReadDeps, readFacts } from './read.ts';

type ListDeps = ReadDeps & Pick<GatewayDeps, 'openJobs'>;

/** A filter that matches rarely may not make one request read the whole store: a page may be short, even empty. */
const JOBS_SCANNED_MAX = 2_000;
/** Jobs read side by side: they are different objects, and reading is waiting. */
const JOBS_AT_ONCE = 16;
/** A plan may take a tenth of a second, and there is one for each job; other requests get their turn this often. */
const TURN_MS_MAX = 10;

export interface JobQuery {
  readonly state?: JobState | undefined;
  /** `key:value`; either may hold colons of its own. */
  readonly label?: string | undefined;
  readonly limit: number;
  readonly cursor?: string | undefined;
}

/** The next page; more pages follow where `nextCursor` is not null. @throws query-invalid for a cursor that is none. */
export async function listJobs(deps: ListDeps, tenant: string, query: JobQuery): Promise<Page<JobDocument>> {
  if (query.cursor !== undefined && !isJobId(query.cursor)) {
    throw new FrechetError('query-invalid', 'the cursor is not one that a listing of jobs gave');
  }
  const data: JobDocument[] = [];
  let scanned = 0;
  let last: string | null = null;
  const batchSize = Math.min(query.limit, JOBS_AT_ONCE);
  for await (const jobIds of inBatches(candidates(deps, tenant, query), batchSize)) {
    const found = await Promise.all(jobIds.map(jobId => matching(deps, tenant, jobId, query)));
    const rest = createRest();
    for (const [index, job] of found.entries()) {
      if (data.length === query.limit || scanned === JOBS_SCANNED_MAX) return { data, nextCursor: last };
      if (job !== undefined) {
        const plan = planJob(job.spec);
        await rest();
        // The derivative in words takes longer than the plan.
        data.push(jobDocument({ spec: job.spec, plan }, job.facts));
        await rest();
      }
      scanned += 1;
      last = jobIds[index] ?? null;
    }
  }
  return { data, nextCursor: null };
}

/** To be awaited between pieces of work: gives others their turn where they have waited long. */
function createRest(): () => Promise<void> {
  let turnStartedAt = performance.now();
  return async () => {
    if (performance.now() - turnStartedAt <= TURN_MS_MAX) return;
    await breathe();
    turnStartedAt = performance.now();
  };
}

async function* inBatches<T>(items: AsyncIterable<T>, size: number): AsyncGenerator<T[]> {
  let batch: T[] = [];
  for await (const item of items) {
    batch.push(item);
    if (batch.length < size) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}

/** Unfinished jobs have an index of their own. */
async function* candidates(deps: ListDeps, tenant: string, query: JobQuery): AsyncGenerator<string> {
  const unfinished = query.state === 'queued' || query.state === 'running';
  if (unfinished) yield* await deps.openJobs.newestFirst(tenant, query.cursor);
  else yield* deps.jobs.jobIds(tenant, query.cursor);
}

async function matching(
  deps: ListDeps,
  tenant: string,
  jobId: string,
  query: JobQuery,
): Promise<{ readonly spec: JobSpec; readonly facts: JobFacts } | undefined> {
  const spec = await deps.jobs.readSpec(tenant, jobId);
  if (spec === undefined || !hasLabel(spec, query.label)) return undefined;
  const facts = await readFacts(deps, spec);
  if (query.state !== undefined && deriveState(facts.outcome, facts.progress) !== query.state)
    return undefined;
  return { spec, facts };
}

function hasLabel({ labels }: JobSpec, label: string | undefined): boolean {
  return label === undefined || Object.entries(labels).some(([key, value]) => `${key}:${value}` === label);
}
