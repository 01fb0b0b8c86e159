// The story of a slice: many small jobs read together, computed side by side as blocks are, and ended together in one
// object. A job that cannot end that way is left out of it and enqueued by itself, on the road of every other job; so
// everything that is rare (retries, suspects, cancellation) is done there and only there.

import { setImmediate as breathe } from 'node:timers/promises';
import { lineJobId, sliceId } from '../shared/io/batch-ids.ts';
import { type BatchOutcome, isRejected, specOfLine } from '../shared/io/batch-store.ts';
import type { SliceReference, WorkQueue } from '../shared/io/queue.ts';
import type { EndedJob, SliceFooter } from '../shared/io/slice-store.ts';
import { SLICE_LINES } from '../shared/job/limits.ts';
import type { BlockReceipt } from '../shared/job/outcome.ts';
import type { JobSpec } from '../shared/job/spec.ts';
import { endTimes, type FinishDeps, finalProblem, observeEnd, succeeded } from './finish-job.ts';
import { hint } from './hint.ts';
import { type KnownJob, planStored } from './known-jobs.ts';
import { type BlockDeps, computeBlock, observeBlock } from './run-block.ts';
import { isBug } from './suspects.ts';

export interface SliceDeps extends BlockDeps, FinishDeps {
  readonly queue: WorkQueue;
}

/** Planning goes on without a pause otherwise; the renewal of locks gets its turn this often. */
const TURN_MS_MAX = 10;

/** The small jobs of a slice, and what is to be known of the batch around them. */
interface Slice {
  readonly jobs: readonly KnownJob[];
  /** Rejected lines of the batch, where the batch has no jobs but these. */
  readonly rejected: number | undefined;
}

interface ComputedJob extends EndedJob {
  readonly job: KnownJob;
  readonly receipt: BlockReceipt | undefined;
}

/**
 * Ends the small jobs of a slice, or enqueues them by themselves.
 *
 * @param isSuspect whether a worker may have died over this very slice: then each job is to be tried by itself
 * @param compute one job of it; undefined where it is to be left out
 * @throws what may be mended by trying again
 */
export async function processSlice(
  deps: SliceDeps,
  reference: SliceReference,
  isSuspect: boolean,
  signal: AbortSignal,
  compute: ComputeJob = computeJob,
): Promise<void> {
  const slice = await readSlice(deps, reference);
  if (slice === undefined) return;
  const { tenant, batchId, slice: index } = reference;
  const { slices } = deps.jobs.batches;
  if ((await slices.read(tenant, batchId, index)) === undefined) {
    const computed = isSuspect ? [] : await computeAll(deps, slice.jobs, signal, compute);
    const batch = batchOutcome(deps, slice, computed);
    // False where somebody was faster: what he wrote is true, and this has been for nothing.
    if (await slices.put(tenant, batchId, index, computed, batch)) observe(deps, computed);
  }
  const footer = await slices.read(tenant, batchId, index);
  if (footer !== undefined) await settle(deps, reference, slice, footer);
}

async function readSlice(
  { jobs, clock }: SliceDeps,
  { tenant, batchId, slice }: SliceReference,
): Promise<Slice | undefined> {
  const batch = await jobs.batches.open(tenant, batchId);
  if (batch === undefined) return undefined;
  try {
    const { footer } = batch;
    const specs: JobSpec[] = [];
    for (const [at, record] of (await batch.slice(slice)).entries()) {
      if (isRejected(record) || !record.spec.isSmall) continue;
      specs.push(specOfLine(footer, slice * SLICE_LINES + at + 1, record.spec));
    }
    const isWhole = footer.total <= SLICE_LINES && specs.length === footer.total - footer.rejected;
    return {
      jobs: await planAll({ clock }, specs),
      rejected: isWhole ? footer.rejected : undefined,
    };
  } finally {
    await batch.close();
  }
}

/** By the clock it is given: where that is simulated, no time passes here, and nothing but its steps is waited for. */
async function planAll({ clock }: Pick<SliceDeps, 'clock'>, specs: readonly JobSpec[]): Promise<KnownJob[]> {
  const planned: KnownJob[] = [];
  let turnStartedMs = clock();
  for (const spec of specs) {
    planned.push({ spec, plan: planStored(spec) });
    if (clock() - turnStartedMs > TURN_MS_MAX) {
      await breathe();
      turnStartedMs = clock();
    }
  }
  return planned;
}

/** A result in memory of its own. */
export interface ComputedBlock {
  readonly data: Uint8Array;
  readonly receipt: BlockReceipt;
}

type ComputeJob = (deps: SliceDeps, job: KnownJob, signal: AbortSignal) => Promise<ComputedBlock>;

async function computeJob(
  deps: SliceDeps,
  { spec, plan }: KnownJob,
  signal: AbortSignal,
): Promise<ComputedBlock> {
  let computed: ComputedBlock | undefined;
  const work = { spec, plan, index: 0, signal, onExecution: () => undefined };
  await computeBlock(deps, work, async (data, receipt) => {
    computed = { data: data.slice(), receipt };
  });
  return computed!; // it has been used, or computing has thrown
}

/** Those of the jobs that end now. @throws the first error, where none of them does */
async function computeAll(
  deps: SliceDeps,
  jobs: readonly KnownJob[],
  signal: AbortSignal,
  compute: ComputeJob,
): Promise<ComputedJob[]> {
  const startedAt = new Date(deps.clock()).toISOString();
  const tried = await Promise.allSettled(jobs.map(job => compute(deps, job, signal)));
  const computed: ComputedJob[] = [];
  for (const [at, attempt] of tried.entries()) {
    const job = jobs[at]!; // one attempt for each
    const { spec, plan } = job;
    if (attempt.status === 'fulfilled') {
      const { data, receipt } = attempt.value;
      const outcome = succeeded(deps, spec, plan, [receipt]);
      computed.push({ jobId: spec.id, outcome, block: { data, flops: receipt.flops }, job, receipt });
      continue;
    }
    if (isBug(attempt.reason)) throw attempt.reason;
    const problem = finalProblem(attempt.reason);
    if (problem === undefined) continue;
    deps.log.warn({ jobId: spec.id, code: problem.code, detail: problem.detail }, 'a job failed');
    const outcome = { state: 'failed', version: 1, startedAt, ...endTimes(deps, spec), problem } as const;
    computed.push({ jobId: spec.id, outcome, job, receipt: undefined });
  }
  const failure = tried.find(attempt => attempt.status === 'rejected');
  if (computed.length === 0 && failure !== undefined) throw failure.reason;
  return computed;
}

/** Null where jobs of the batch are left. */
function batchOutcome(
  { clock }: SliceDeps,
  { jobs, rejected }: Slice,
  computed: readonly EndedJob[],
): BatchOutcome | null {
  if (rejected === undefined || computed.length < jobs.length) return null;
  const counts = { succeeded: 0, failed: 0, cancelled: 0, rejected };
  for (const { outcome } of computed) counts[outcome.state] += 1;
  return { version: 1, counts, finishedAt: new Date(clock()).toISOString() };
}

function observe({ metrics }: SliceDeps, computed: readonly ComputedJob[]): void {
  for (const { job, outcome, receipt } of computed) {
    observeEnd(metrics, job.spec, outcome);
    const queued = Date.parse(outcome.startedAt ?? outcome.finishedAt) - Date.parse(job.spec.createdAt);
    metrics.frechet_job_queue_seconds.observe({ operation: job.spec.operation }, Math.max(0, queued / 1000));
    if (receipt === undefined) metrics.frechet_blocks_finished_total.inc({ outcome: 'failed' });
    else observeBlock(metrics, { ...job, index: 0 }, true, receipt.seconds, receipt.kernel);
  }
}

/** What follows from what is written. It may be done again, by whoever meets the slice. */
async function settle(
  deps: SliceDeps,
  { tenant, batchId, slice }: SliceReference,
  { jobs }: Slice,
  footer: SliceFooter,
): Promise<void> {
  const ended = new Set(footer.ended.map(({ line }) => lineJobId(batchId, line)));
  const id = sliceId(batchId, slice);
  const flops = jobs.reduce((sum, { spec, plan }) => (ended.has(spec.id) ? sum + plan.flops : sum), 0n);
  await hint(deps, async () => {
    await Promise.all([
      deps.live.noteSliceFinished(id, ended.size, flops),
      deps.live.publish({ type: 'slice', tenant, jobId: id }),
    ]);
  });
  if (footer.batch !== null) await deps.openJobs.removeBatch(tenant, batchId);
  await enqueueLeft(
    deps,
    tenant,
    jobs.filter(({ spec }) => !ended.has(spec.id)),
  );
}

/** Jobs that did not end with their slice go the way of all others. */
async function enqueueLeft(
  { jobs, live, queue }: SliceDeps,
  tenant: string,
  left: readonly KnownJob[],
): Promise<void> {
  const isEnded = await Promise.all(left.map(({ spec }) => jobs.hasOutcome(tenant, spec.id)));
  const open = left.filter((_, at) => !isEnded[at]);
  if (open.length === 0) return;
  await live.noteAllEnqueued(
    tenant,
    open.map(({ spec, plan: { flops, result } }) => {
      return { id: spec.id, jobs: 1, flops: String(flops), bytes: result.dataBytes ?? 0 };
    }),
  );
  await queue.enqueueAll(
    open.map(({ spec: { id, priority } }) => ({ id, tenant, priority, blocksTotal: 1 })),
  );
}
