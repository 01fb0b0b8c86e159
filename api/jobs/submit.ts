// Accepting a job: prepare, admit, claim its idempotency key, store the arrays, store the spec. The spec makes the job
// exist, so it comes after all that it names; the queue hears of it last, and if it cannot, the reconciler tells it later.

import { createHash } from 'node:crypto';
import { FrechetError } from '../../shared/errors.ts';
import { claimName } from '../../shared/io/claims.ts';
import { isRecorded } from '../../shared/io/tracing.ts';
import { streamOf } from '../../shared/io/whole-array.ts';
import { arraysOf } from '../../shared/job/arrays-of.ts';
import { isSmallJob } from '../../shared/job/small.ts';
import type { GatewayDeps } from '../deps.ts';
import { type AdmitDeps, admit, type Work, withdraw } from './admit.ts';
import { currentBlockLimits } from './block-limits.ts';
import { abandonKey, claimKey, type IdempotentRequest, lookUpKey } from './idempotency.ts';
import { findJob, type KnownJob } from './known-job.ts';
import { mayLoseMarker, nextId } from './next-id.ts';
import { type PreparedJob, prepareJob, type Submission } from './prepare.ts';

type SubmitDeps = AdmitDeps &
  Pick<GatewayDeps, 'arrays' | 'claims' | 'jobs' | 'metrics' | 'openJobs' | 'queue' | 'smallJobs'>;

export interface SubmittedJob extends KnownJob {
  /** Whether an earlier request with the same idempotency key had made the job. */
  readonly isReplay: boolean;
}

/**
 * Makes a job durable and enqueues it. When the promise resolves the job reaches a final state, whatever happens.
 *
 * @throws any code of contract §4; then nothing is left behind
 */
export async function submitJob(
  deps: SubmitDeps,
  tenant: string,
  submission: Submission,
  key?: string,
): Promise<SubmittedJob> {
  const request = key === undefined ? undefined : idempotentRequest(key, submission);
  const known = request && (await lookUpKey(deps, tenant, request, id => findIfThere(deps, tenant, id)));
  if (known?.replayed !== undefined) return { ...known.replayed, isReplay: true };
  const nowMs = deps.clock();
  const identity = { id: known?.id ?? nextId(nowMs), tenant, createdAt: new Date(nowMs).toISOString() };
  const job = await prepareJob(deps.arrays, submission, identity, await currentBlockLimits(deps));
  const isAlone = request !== undefined || bringsArrays(job, submission.parts) || isRecorded();
  if (!isAlone && isSmallJob(job.plan))
    return { ...(await deps.smallJobs.submit(tenant, job)), isReplay: false };
  const work = workOf(job);
  await admit(deps, work);
  let isStored: boolean;
  try {
    if (request !== undefined) await claimKey(deps, tenant, request, job.spec.id);
    await storeArrays(deps, job, submission.parts);
    isStored = await storeSpec(deps, job, key);
  } catch (error) {
    await withdrawUnlessStored(deps, work, error);
    if (request !== undefined) await abandonKey(deps, tenant, request, job.spec.id, error);
    throw error;
  }
  // Somebody with the same key was as fast, under the same id.
  if (!isStored) return { ...(await findJob(deps.jobs, tenant, job.spec.id)), isReplay: true };
  deps.metrics.frechet_jobs_submitted_total.inc({ operation: job.spec.operation });
  await enqueue(deps, job);
  return { spec: job.spec, plan: job.plan, isReplay: false };
}

/** Whether an array is to be stored before the job. */
function bringsArrays({ spec, inlineArrays }: PreparedJob, parts: Submission['parts']): boolean {
  const needed = arraysOf(spec);
  return [...inlineArrays.keys(), ...[...parts.values()].map(({ id }) => id)].some(id => needed.has(id));
}

function idempotentRequest(key: string, { digest, parts }: Submission): IdempotentRequest {
  const arrays = [...parts].map(([name, { id }]) => `${name} ${id}`).sort();
  const bodyDigest = createHash('sha256')
    .update([digest, ...arrays].join('\n'))
    .digest('hex');
  return { key, kind: 'job', bodyDigest };
}

async function findIfThere({ jobs }: SubmitDeps, tenant: string, id: string): Promise<KnownJob | undefined> {
  return (await jobs.readSpec(tenant, id)) === undefined ? undefined : findJob(jobs, tenant, id);
}

/** Arrays that were sent along have been staged and counted as they came. */
function workOf({ spec, plan, inlineArrays }: PreparedJob): Work {
  const needed = arraysOf(spec);
  const inline = [...inlineArrays].filter(([id]) => needed.has(id)).map(([, { data }]) => data.byteLength);
  const bytes = [plan.result.dataBytes ?? 0, ...inline].reduce((sum, one) => sum + one, 0);
  return { tenant: spec.tenant, id: spec.id, jobs: 1, flops: plan.flops, bytes };
}

/** Stores what the spec names. A value that turned out not to matter is not kept. */
async function storeArrays(
  deps: SubmitDeps,
  { spec, inlineArrays }: PreparedJob,
  parts: Submission['parts'],
): Promise<void> {
  const needed = arraysOf(spec);
  for (const [id, inline] of inlineArrays) {
    if (!needed.has(id)) continue;
    const { header, data } = streamOf(inline);
    const staged = await deps.arrays.stage(spec.tenant, header, data);
    const { array, created } = await staged.commit();
    if (!created) await deps.storedBytes.giveBack(spec.tenant, array.bytes);
  }
  for (const part of parts.values()) {
    if (needed.has(part.id)) await part.commit();
  }
}

/** False where there is a job of this id, as only a claim can have given it twice. */
async function storeSpec(
  { openJobs, jobs, clock }: SubmitDeps,
  { spec }: PreparedJob,
  key: string | undefined,
): Promise<boolean> {
  // The marker first: a spec without one would be a job that nobody ever looks after.
  await openJobs.add(spec.tenant, spec.id);
  const isStored = await jobs.createSpec(spec, key === undefined ? undefined : claimName(key));
  if (mayLoseMarker(spec.id, clock())) await openJobs.add(spec.tenant, spec.id);
  return isStored;
}

/** After a failed write the spec may be there all the same: then its place is rightly taken. */
async function withdrawUnlessStored(deps: SubmitDeps, work: Work, error: unknown): Promise<void> {
  const isRefusal = error instanceof FrechetError && error.kind === 'conflict';
  const exists = await deps.jobs.readSpec(work.tenant, work.id).catch(() => true);
  if (isRefusal || exists === undefined) await withdraw(deps, work);
}

async function enqueue({ queue, log }: SubmitDeps, { spec, plan }: PreparedJob): Promise<void> {
  try {
    await queue.enqueue(
      spec,
      Array.from({ length: plan.blocksTotal }, (_, index) => index),
      plan.blocksTotal,
    );
  } catch (error) {
    log.warn({ err: error, jobId: spec.id }, 'an accepted job is not enqueued yet');
  }
}
