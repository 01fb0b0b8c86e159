// The end of a job: when all blocks are in the store its manifest becomes the outcome; when one cannot be computed
// its problem does. Outcomes compete for one name in the store, so that exactly one of them wins.

import { createHash } from 'node:crypto';
import { errorCode, FrechetError } from '../shared/errors.ts';
import type { JobStore } from '../shared/io/job-store.ts';
import type { Live } from '../shared/io/live.ts';
import type { Logger } from '../shared/io/logger.ts';
import type { WorkerMetrics } from '../shared/io/metrics.ts';
import { encodeNpyHeader } from '../shared/io/npy.ts';
import type { OpenJobs } from '../shared/io/open-jobs.ts';
import type { JobPlan } from '../shared/job/job-plan.ts';
import type {
  BlockReceipt,
  ComponentwiseBound,
  ErrorBound,
  JobProblem,
  Manifest,
  Outcome,
  PhaseSeconds,
  Verification,
} from '../shared/job/outcome.ts';
import type { JobSpec } from '../shared/job/spec.ts';
import { eachInFlight } from './load/in-flight.ts';

/** They lie in different objects, and a job may have thousands. */
const RECEIPTS_AT_ONCE = 16;

export interface FinishDeps {
  readonly jobs: JobStore;
  readonly openJobs: OpenJobs;
  readonly live: Live;
  readonly metrics: WorkerMetrics;
  readonly log: Logger;
  readonly clock: () => number;
}

/**
 * Ends a job whose blocks are all stored.
 *
 * @returns the indexes of blocks that are missing; empty where the job has ended, by this call or before it.
 */
export async function finishJob(deps: FinishDeps, spec: JobSpec, plan: JobPlan): Promise<readonly number[]> {
  const stored = new Set(await deps.jobs.listBlocks(spec.tenant, spec.id));
  const all = Array.from({ length: plan.blocksTotal }, (_, index) => index);
  const absent = all.filter(index => !stored.has(index));
  if (absent.length > 0) return absent;
  const receipts = new Map<number, BlockReceipt>();
  await eachInFlight(all, RECEIPTS_AT_ONCE, async index => {
    const receipt = await readReceipt(deps.jobs, spec, index);
    if (receipt !== undefined) receipts.set(index, receipt);
  });
  const missing = all.filter(index => !receipts.has(index));
  if (missing.length > 0) return missing;
  const inOrder = all.map(index => receipts.get(index)!); // none is missing
  await finishWith(deps, spec, plan, inOrder);
  return [];
}

/** @param receipts what is stored of all blocks, in their order */
export function finishWith(
  deps: FinishDeps,
  spec: JobSpec,
  plan: JobPlan,
  receipts: readonly BlockReceipt[],
): Promise<void> {
  return endJob(deps, spec, succeeded(deps, spec, plan, receipts));
}

/** What is stored of a block. A damaged one is removed and counts as missing: it can be computed again. */
export async function readReceipt(
  jobs: JobStore,
  { tenant, id, isSmall }: JobSpec,
  index: number,
): Promise<BlockReceipt | undefined> {
  try {
    return await jobs.readReceipt(tenant, id, index, isSmall === true);
  } catch (error) {
    if (errorCode(error) !== 'result-corrupt') throw error;
    await jobs.deleteBlock(tenant, id, index);
    return undefined;
  }
}

/** Ends a job with a problem that no retry can mend. @param startedAt when the block that met it began */
export async function failJob(
  deps: FinishDeps,
  spec: JobSpec,
  problem: JobProblem,
  startedAt: string,
): Promise<void> {
  deps.log.warn({ jobId: spec.id, code: problem.code, detail: problem.detail }, 'a job failed');
  await endJob(deps, spec, { state: 'failed', version: 1, startedAt, ...endTimes(deps, spec), problem });
}

async function endJob(deps: FinishDeps, spec: JobSpec, outcome: Outcome): Promise<void> {
  const won = await deps.jobs.putOutcome(spec, outcome);
  await deps.openJobs.remove(spec.tenant, spec.id);
  if (won) observeEnd(deps.metrics, spec, outcome);
  // The job has ended, whether or not Redis hears of it; the reconciler tells it again.
  try {
    await deps.live.noteFinished(spec.id);
    await deps.live.publish({ type: 'finished', tenant: spec.tenant, jobId: spec.id });
  } catch (error) {
    deps.log.debug({ err: error, jobId: spec.id }, 'Redis did not hear of the end of a job');
  }
}

/** Counts a job that has ended, and how long that took. */
export function observeEnd(metrics: WorkerMetrics, spec: JobSpec, outcome: Outcome): void {
  const { operation } = spec;
  metrics.frechet_jobs_finished_total.inc({ operation, outcome: outcome.state });
  const seconds = (Date.parse(outcome.finishedAt) - Date.parse(spec.createdAt)) / 1000;
  metrics.frechet_job_duration_seconds.observe({ operation }, seconds);
}

/** The outcome of a job all of whose blocks are computed. */
export function succeeded(
  deps: Pick<FinishDeps, 'clock'>,
  spec: JobSpec,
  plan: JobPlan,
  receipts: readonly BlockReceipt[],
): Outcome {
  const startedAt = receipts.map(receipt => receipt.startedAt).sort()[0] ?? spec.createdAt;
  const queue = Math.max(0, (Date.parse(startedAt) - Date.parse(spec.createdAt)) / 1000);
  return {
    state: 'succeeded',
    version: 1,
    startedAt,
    ...endTimes(deps, spec),
    manifest: manifestOf(plan, receipts),
    verification: worstVerification(receipts),
    errorBound: sumErrorBounds(receipts),
    kernel: receipts[0]?.kernel ?? 'reference',
    seconds: { queue, ...sumSeconds(receipts) },
  };
}

export function endTimes({ clock }: Pick<FinishDeps, 'clock'>, { expiresIn }: JobSpec) {
  const nowMs = clock();
  return {
    finishedAt: new Date(nowMs).toISOString(),
    expiresAt: new Date(nowMs + expiresIn * 1000).toISOString(),
  };
}

function manifestOf({ result, block }: JobPlan, receipts: readonly BlockReceipt[]): Manifest {
  const digest = createHash('sha256');
  for (const { sha256 } of receipts) digest.update(sha256, 'hex');
  const dataBytes = receipts.reduce((sum, { bytes }) => sum + bytes, 0);
  const { shape, dtype, order } = result;
  const header =
    shape === null || dtype === null || order === null ? undefined : encodeNpyHeader({ shape, dtype, order });
  return {
    bytes: dataBytes + (header?.byteLength ?? 0),
    digest: digest.digest('hex'),
    blocks: receipts.map(({ index, bytes, sha256 }) => ({ ...block(index), bytes, sha256 })),
  };
}

function worstVerification(receipts: readonly BlockReceipt[]): Verification {
  const all = receipts.map(receipt => receipt.verification);
  return all.reduce((worst, one) => (closeness(one) > closeness(worst) ? one : worst));
}

/** How much of what rounding allows was used up. */
function closeness({ maxError, bound }: Verification): number {
  return bound === 0 ? 0 : maxError / bound;
}

/** Blocks are pieces of the result, and the norm is a sum. A receipt of before bounds were kept says nothing. */
function sumErrorBounds(receipts: readonly BlockReceipt[]): ErrorBound | null {
  let [absolute, size] = [0, 0];
  for (const { errorBound } of receipts) {
    absolute += errorBound?.absolute ?? Number.POSITIVE_INFINITY;
    size += errorBound?.size ?? 0;
  }
  if (!Number.isFinite(absolute) || !Number.isFinite(size)) return null;
  const componentwise = largestBound(receipts.map(({ errorBound }) => errorBound?.componentwise));
  return { absolute, size, ...(componentwise && { componentwise }) };
}

/** Of all elements that of the worst; undefined where a block has none. */
function largestBound(bounds: readonly (ComponentwiseBound | undefined)[]): ComponentwiseBound | undefined {
  let largest: ComponentwiseBound = { absolute: 0, relative: 0 };
  for (const bound of bounds) {
    if (bound === undefined) return undefined;
    const { absolute, relative } = bound;
    largest = {
      absolute: Math.max(largest.absolute, absolute),
      relative: largest.relative === null || relative === null ? null : Math.max(largest.relative, relative),
    };
  }
  return largest;
}

function sumSeconds(receipts: readonly BlockReceipt[]): PhaseSeconds {
  const sum = (phase: keyof PhaseSeconds) =>
    receipts.reduce((total, { seconds }) => total + seconds[phase], 0);
  return { load: sum('load'), compute: sum('compute'), verify: sum('verify'), store: sum('store') };
}

/** What a client is told of an error that ends a job; undefined for one that a retry may mend. */
export function finalProblem(error: unknown): JobProblem | undefined {
  if (!(error instanceof FrechetError) || RETRIED.has(error.kind)) return undefined;
  return { code: error.code, detail: error.message, context: error.context };
}

const RETRIED: ReadonlySet<string> = new Set(['busy', 'outage']);
