// The BullMQ consumer: one reference in, one block stored or one job finished. The queue decides when work is tried;
// what is true is asked of the store, before and after. Everything told to Redis beyond that is a hint.

import { setTimeout as sleep } from 'node:timers/promises';
import { type Job, WaitingChildrenError, WaitingError, Worker } from 'bullmq';
import type { Redis } from 'ioredis';
import { FrechetError } from '../shared/errors.ts';
import {
  type BlockReference,
  QUEUE_NAME,
  type SliceReference,
  type WorkReference,
} from '../shared/io/queue.ts';
import { REDIS_PREFIX } from '../shared/io/redis.ts';
import { queueTelemetry } from '../shared/io/tracing.ts';
import type { BlockReceipt } from '../shared/job/outcome.ts';
import { type ActiveBlocks, flopsDone } from './active-blocks.ts';
import type { Execution } from './execute/executor.ts';
import { Cancelled } from './execute/run-plan.ts';
import { failJob, finalProblem, finishJob, finishWith, readReceipt } from './finish-job.ts';
import { hint } from './hint.ts';
import type { KnownJob, KnownJobs } from './known-jobs.ts';
import { type BlockWork, runBlock } from './run-block.ts';
import { processSlice, type SliceDeps } from './run-slice.ts';
import { isBug, runGuarded, type SuspectDeps } from './suspects.ts';
import { startVigil } from './vigil.ts';

export interface ConsumerDeps extends SliceDeps, SuspectDeps {
  readonly known: KnownJobs;
  readonly active: ActiveBlocks;
  /** Hears of errors that only a bug explains; it is to end the process, whose memory may be in any state. */
  readonly onBug: (error: Error) => void;
  /** Work waits and none of it comes here: only a new process helps. */
  readonly onStarved: () => void;
}

export interface Consumer {
  /** Takes no more work and waits for what is running; after `drainMs` hands it back to the queue. */
  close(drainMs: number): Promise<void>;
}

/** Blocks at a time: while one computes, another loads and others are stored. Memory is what really limits them. */
const BLOCKS_AT_ONCE = 4;
/** Of blocks that compute for long, none is taken that somebody else could begin before. */
const LONG_BLOCKS_AT_ONCE = 2;
const LONG_SECONDS = 0.1;
/** A lock is renewed at half of this; a worker that cannot do that for so long is taken for dead. */
const LOCK_MS = 15_000;
/** How often within that time one of the workers looks for lost locks: a death is noticed within about two locks. */
const LOOKS_PER_LOCK = 3;
/** BullMQ's own count must not end anything: only an outcome in the store does. */
const STALLS_MAX = 1_000;
/** After a fault of Redis, ask for work again. */
const RETRY_MS = 1_000;
/** How often progress is told and a missed cancellation is looked for. */
const TELL_MS = 500;
/** Once nothing is running, BullMQ may take this long to say goodbye to Redis. */
const CLOSE_MS_MAX = 2_000;
const IDLE_POLL_MS = 20;

/** Answers the receipt it has stored, where it knows it. */
type Compute = (work: BlockWork) => Promise<BlockReceipt | undefined>;

export interface ConsumerTimes {
  /** A lock that has not been renewed for so long is taken for lost, with the worker that held it. */
  readonly lockMs: number;
}

/** @param connection of role `consumer`, used for nothing else. */
export function startConsumer(
  deps: ConsumerDeps,
  connection: Redis,
  { lockMs }: ConsumerTimes = { lockMs: LOCK_MS },
): Consumer {
  let isHandingBack = false;
  let entries = 0;
  let taken = 0;
  const worker = new Worker<WorkReference>(QUEUE_NAME, (entry, token) => processEntry(entry, token), {
    connection,
    prefix: REDIS_PREFIX,
    concurrency: BLOCKS_AT_ONCE,
    lockDuration: lockMs,
    stalledInterval: lockMs / LOOKS_PER_LOCK,
    maxStalledCount: STALLS_MAX,
    runRetryDelay: RETRY_MS,
    ...queueTelemetry(),
  });
  worker.on('error', error => deps.log.warn({ err: error }, 'the consumer met a fault of the queue'));
  worker.on('stalled', () => deps.metrics.frechet_stalled_blocks_total.inc());
  const teller = setInterval(() => tell(deps).catch(() => undefined), TELL_MS).unref();

  const vigil = startVigil({
    taken: () => taken,
    isBusy: () => entries > 0,
    waiting: () => deps.queue.waiting(),
    onStarved: deps.onStarved,
  });

  async function processEntry(entry: Job<WorkReference>, token: string | undefined): Promise<void> {
    entries += 1;
    taken += 1;
    try {
      void hint(deps, () => deps.queue.noteTaken(entry.priority));
      // The queue counts attempts that were never ended: their worker died, stood still or lost Redis.
      const isSuspect = entry.stalledCounter > 0;
      if ('slice' in entry.data) await processSliceEntry(deps, entry.data, isSuspect);
      else adapt(await processReference(deps, entry.data, isSuspect));
    } catch (error) {
      if (isBug(error)) deps.onBug(error);
      if (error instanceof Cancelled && isHandingBack) {
        await entry.moveToWait(token);
        throw new WaitingError();
      }
      // Where all of them have been done meanwhile, it is tried again like anything else.
      if (error instanceof BlocksMissing && (await entry.moveToWaitingChildren(token ?? '')))
        throw new WaitingChildrenError();
      deps.metrics.frechet_blocks_finished_total.inc({ outcome: 'retried' });
      deps.log.warn(
        { err: error, ...entry.data, attempt: entry.attemptsMade + 1 },
        'a block will be tried again',
      );
      throw error;
    } finally {
      entries -= 1;
    }
  }

  /** Blocks of a job are alike, so the next will take about as long as this one. */
  function adapt(done: BlockReceipt | undefined): void {
    if (done === undefined) return;
    worker.concurrency = done.seconds.compute > LONG_SECONDS ? LONG_BLOCKS_AT_ONCE : BLOCKS_AT_ONCE;
  }

  return {
    async close(drainMs) {
      vigil.stop();
      const closed = worker.close();
      const timer = setTimeout(() => {
        isHandingBack = true;
        deps.active.cancelAll();
      }, drainMs);
      // While Redis is away BullMQ waits for it; what is running ends all the same, and no more is owed.
      await Promise.race([closed, idle().then(() => sleep(CLOSE_MS_MAX))]);
      clearTimeout(timer);
      clearInterval(teller);
    },
  };

  async function idle(): Promise<void> {
    while (entries > 0) await sleep(IDLE_POLL_MS);
  }
}

/** Runs the small jobs of a slice beside other blocks; a suspect computes nothing, so it needs not be alone. */
async function processSliceEntry(
  deps: ConsumerDeps,
  reference: SliceReference,
  isSuspect: boolean,
): Promise<void> {
  const { tenant, batchId, slice } = reference;
  const active = deps.active.begin({ tenant, jobId: batchId, block: slice, flops: 0n });
  try {
    await deps.company.run('together', active.signal, () =>
      processSlice(deps, reference, isSuspect, active.signal),
    );
  } finally {
    deps.active.end(active);
  }
}

/** The finish of a job came before its last block; what it misses is in the queue, and stands before it there. */
class BlocksMissing extends FrechetError {
  constructor(count: number) {
    super('unavailable', `${count} blocks are still missing`);
  }
}

/**
 * Does what a reference asks for, as far as the store says that it is still to be done.
 *
 * @param isSuspect whether a worker may have died over this very reference
 * @param compute runs and stores a block
 * @returns what is stored of a block that was asked for and is there
 * @throws what may be mended by trying again
 */
export async function processReference(
  deps: ConsumerDeps,
  { tenant, jobId, block }: BlockReference,
  isSuspect: boolean,
  compute: Compute = work => runBlock(deps, work),
): Promise<BlockReceipt | undefined> {
  const job = await deps.known.get(tenant, jobId);
  // Deleted or ended meanwhile: nothing is owed to anybody.
  if (job === undefined) return undefined;
  if (await deps.jobs.hasOutcome(tenant, jobId, job.spec.isSmall === true)) {
    if (block !== null) deps.metrics.frechet_blocks_finished_total.inc({ outcome: 'cancelled' });
    // A job that was cancelled while it was being enqueued may have got back into the backlog.
    await hint(deps, () => deps.live.noteFinished(jobId));
    return undefined;
  }
  if (block === null) {
    await finishOrWait(deps, job);
    return undefined;
  }
  const startedAt = new Date(deps.clock()).toISOString();
  let receipt: BlockReceipt | undefined;
  try {
    receipt = await computeBlock(deps, job, block, isSuspect, compute);
  } catch (error) {
    await endUnlessRetried(deps, job, error, startedAt);
    return undefined;
  }
  if (job.plan.blocksTotal === 1) {
    if (receipt === undefined) await finishOrWait(deps, job);
    else await finishWith(deps, job.spec, job.plan, [receipt]);
  }
  return receipt;
}

async function finishOrWait(deps: ConsumerDeps, { spec, plan }: KnownJob): Promise<void> {
  const missing = await finishJob(deps, spec, plan);
  if (missing.length === 0) return;
  if (plan.blocksTotal > 1) await deps.queue.enqueueMissing(spec, missing);
  throw new BlocksMissing(missing.length);
}

async function computeBlock(
  deps: ConsumerDeps,
  { spec, plan }: KnownJob,
  block: number,
  isSuspect: boolean,
  compute: Compute,
): Promise<BlockReceipt | undefined> {
  const present = await readReceipt(deps.jobs, spec, block);
  if (present !== undefined) {
    deps.metrics.frechet_blocks_finished_total.inc({ outcome: 'present' });
    return present;
  }
  const address = { tenant: spec.tenant, jobId: spec.id, block };
  const active = deps.active.begin({ ...address, flops: plan.blockFlops(block) });
  try {
    await hint(deps, () => noteStarted(deps, spec));
    const { signal } = active;
    const onExecution = (execution: Execution) => {
      active.execution = execution;
    };
    const receipt = await runGuarded(deps, address, { isSuspect, signal }, () =>
      compute({ spec, plan, index: block, signal, onExecution }),
    );
    await hint(deps, async () => {
      const done = { flops: plan.blockFlops(block), bytes: receipt?.bytes ?? 0 };
      await deps.live.noteBlockDone(spec.id, block, done);
      await deps.live.publish({ type: 'block', tenant: spec.tenant, jobId: spec.id, block });
    });
    return receipt;
  } finally {
    deps.active.end(active);
  }
}

async function noteStarted({ live, metrics, clock }: ConsumerDeps, spec: KnownJob['spec']): Promise<void> {
  const nowMs = clock();
  if (!(await live.noteStarted(spec.id, nowMs))) return;
  const seconds = Math.max(0, (nowMs - Date.parse(spec.createdAt)) / 1000);
  metrics.frechet_job_queue_seconds.observe({ operation: spec.operation }, seconds);
  await live.publish({ type: 'started', tenant: spec.tenant, jobId: spec.id });
}

/** A final error ends the job; a cancelled job has ended already; anything else is thrown on, to be tried again. */
async function endUnlessRetried(
  deps: ConsumerDeps,
  { spec }: KnownJob,
  error: unknown,
  startedAt: string,
): Promise<void> {
  if (error instanceof Cancelled && !(await isOwed(deps, spec.tenant, spec.id))) {
    deps.metrics.frechet_blocks_finished_total.inc({ outcome: 'cancelled' });
    // It may have been noted as started after its end was.
    await hint(deps, () => deps.live.noteFinished(spec.id));
    return;
  }
  const problem = finalProblem(error);
  if (problem === undefined) throw error;
  deps.metrics.frechet_blocks_finished_total.inc({ outcome: 'failed' });
  await failJob(deps, spec, problem, startedAt);
}

/** Whether somebody still waits for the job: it has neither ended nor been deleted since. */
async function isOwed({ jobs }: ConsumerDeps, tenant: string, jobId: string): Promise<boolean> {
  return !(await jobs.hasOutcome(tenant, jobId)) && (await jobs.hasSpec(tenant, jobId));
}

/** Tells how far the running blocks are, and cancels those whose job has ended without our hearing of it. */
async function tell(deps: ConsumerDeps): Promise<void> {
  const { active, live } = deps;
  for (const block of active) {
    const { tenant, jobId } = block;
    if (!(await isOwed(deps, tenant, jobId))) active.cancelJob(jobId);
    // Nothing is to be told of what waits or loads, nor of a slice, which is done before anybody asks.
    if (block.execution === undefined) continue;
    await live.noteProgress(jobId, block.block, flopsDone(block));
    await live.publish({ type: 'progress', tenant, jobId });
  }
}
