// Accepting a job: prepare, admit, store the arrays, store the spec. The spec makes the job exist, so it comes after
// all that it names; the queue hears of it last, and if it cannot, the reconciler tells it later.

import { monotonicFactory } from 'ulid';
import { assert } from '../../shared/assert.ts';
import { streamOf } from '../../shared/io/whole-array.ts';
import type { GatewayDeps } from '../deps.ts';
import { admitJob } from './admit.ts';
import { arraysOf } from './array-use.ts';
import type { KnownJob } from './known-job.ts';
import { type PreparedJob, prepareJob, type Submission } from './prepare.ts';

type SubmitDeps = Omit<GatewayDeps, 'config' | 'version' | 'events' | 'draining'>;

/** Ids of one process ascend even within a millisecond, so that newest first is the order of submission. */
const nextId = monotonicFactory();

/**
 * Makes a job durable and enqueues it. When the promise resolves the job reaches a final state, whatever happens.
 *
 * @throws any code of contract §4; then nothing is left behind
 */
export async function submitJob(deps: SubmitDeps, tenant: string, submission: Submission): Promise<KnownJob> {
  const nowMs = deps.clock();
  const identity = { id: nextId(nowMs), tenant, createdAt: new Date(nowMs).toISOString() };
  const job = await prepareJob(deps.arrays, submission, identity);
  await admitJob(deps, job.plan);
  await storeArrays(deps, job, submission.parts);
  await storeSpec(deps, job);
  deps.metrics.frechet_jobs_submitted_total.inc({ operation: job.spec.operation });
  await enqueue(deps, job);
  return job;
}

/** Stores what the spec names. A value that turned out not to matter is not kept. */
async function storeArrays(
  { arrays }: Pick<SubmitDeps, 'arrays'>,
  { spec, inlineArrays }: PreparedJob,
  parts: Submission['parts'],
): Promise<void> {
  const needed = arraysOf(spec);
  for (const [id, inline] of inlineArrays) {
    if (!needed.has(id)) continue;
    const { header, data } = streamOf(inline);
    const staged = await arrays.stage(spec.tenant, header, data);
    await staged.commit();
  }
  for (const part of parts.values()) {
    if (needed.has(part.id)) await part.commit();
  }
}

async function storeSpec({ openJobs, jobs }: SubmitDeps, { spec }: PreparedJob): Promise<void> {
  // The marker first: a spec without one would be a job that nobody ever looks after.
  await openJobs.add(spec.tenant, spec.id);
  assert(await jobs.createSpec(spec), 'a job id is never given twice');
}

async function enqueue({ live, queue, log }: SubmitDeps, { spec, plan }: PreparedJob): Promise<void> {
  try {
    await live.noteEnqueued(spec.id, plan.flops);
    await queue.enqueue(
      spec,
      Array.from({ length: plan.blocksTotal }, (_, index) => index),
      plan.blocksTotal,
    );
  } catch (error) {
    log.warn({ err: error, jobId: spec.id }, 'an accepted job is not enqueued yet');
  }
}
