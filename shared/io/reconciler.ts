// What the store promises and the work-list does not know: unfinished jobs are enqueued again, finished ones leave the
// index. It is how Redis can be lost without losing a job. Any number of processes may reconcile at once, since every
// step may be repeated.

import type { Logger } from 'pino';
import { decodeTime } from 'ulid';
import { planJob } from '../job/job-plan.ts';
import type { JobSpec } from '../job/spec.ts';
import { batchIdOf } from './batch-ids.ts';
import { type BatchProgress, createBatchProgress } from './batch-progress.ts';
import { reconcileBatch } from './batch-reconciler.ts';
import type { JobStore } from './job-store.ts';
import type { Live } from './live.ts';
import type { OpenJob, OpenJobs } from './open-jobs.ts';
import type { WorkQueue } from './queue.ts';

const RECONCILE_SECONDS = 30;
/** A younger job is just being enqueued by whoever accepted it. */
const ENQUEUE_AGE_SECONDS_MIN = 10;
/** A marker this old without a spec belongs to a job that was never accepted, or was deleted. */
const ORPHAN_AGE_SECONDS = 60;

export interface ReconcileDeps {
  readonly jobs: JobStore;
  readonly openJobs: OpenJobs;
  readonly queue: WorkQueue;
  readonly live: Live;
  readonly log: Logger;
  /** Milliseconds since the epoch. */
  readonly clock: () => number;
}

/** How many jobs a pass did what with. */
export interface ReconcileCounts {
  enqueued: number;
  closed: number;
  /** Left for the next pass, because something about them failed. */
  skipped: number;
}

/** One pass over all open jobs. @throws what Redis throws: without it there is nothing to reconcile with. */
export async function reconcile(
  deps: ReconcileDeps,
  progress: BatchProgress = createBatchProgress(deps.jobs),
): Promise<ReconcileCounts> {
  const counts: ReconcileCounts = { enqueued: 0, closed: 0, skipped: 0 };
  const openIds = new Set<string>();
  let openJobs = 0;
  for await (const open of deps.openJobs.all()) {
    openIds.add(open.jobId);
    openJobs += 1;
    try {
      await reconcileJob(deps, open, counts);
    } catch (error) {
      // If it is Redis that is away, this throws too and ends the pass; else the others may not wait for this one.
      await deps.live.load();
      counts.skipped += 1;
      deps.log.warn({ err: error, jobId: open.jobId }, 'an open job cannot be reconciled');
    }
  }
  let openLines = 0;
  for await (const open of deps.openJobs.allBatches()) {
    openIds.add(open.jobId);
    try {
      openLines += await reconcileBatch(deps, progress, open, counts, {
        enqueueSeconds: ENQUEUE_AGE_SECONDS_MIN,
        orphanSeconds: ORPHAN_AGE_SECONDS,
      });
    } catch (error) {
      await deps.live.load();
      counts.skipped += 1;
      deps.log.warn({ err: error, batchId: open.jobId }, 'an open batch cannot be reconciled');
    }
  }
  await freePlaces(deps, openIds, openJobs + openLines);
  return counts;
}

/**
 * Gives back places in the backlog whose job never came: a crash between its admission and its marker.
 *
 * @param openCount jobs alone and unfinished lines of batches. A batch is none of its own: each would hide a lost place.
 */
async function freePlaces(
  { live, clock, log }: ReconcileDeps,
  openIds: ReadonlySet<string>,
  openCount: number,
): Promise<void> {
  const { queued, running } = await live.load();
  if (queued + running <= openCount) return;
  for await (const id of live.backlogIds()) {
    const ageSeconds = (clock() - decodeTime(id)) / 1000;
    if (openIds.has(id) || openIds.has(batchIdOf(id)) || ageSeconds <= ORPHAN_AGE_SECONDS) continue;
    await live.release(id);
    log.info({ jobId: id }, 'a place in the backlog that nobody needs is given back');
  }
}

async function reconcileJob(deps: ReconcileDeps, open: OpenJob, counts: ReconcileCounts): Promise<void> {
  const { tenant, jobId } = open;
  if (await deps.jobs.hasOutcome(tenant, jobId)) return close(deps, open, counts);
  const ageSeconds = (deps.clock() - decodeTime(jobId)) / 1000;
  const spec = await deps.jobs.readSpec(tenant, jobId);
  if (spec !== undefined && ageSeconds >= ENQUEUE_AGE_SECONDS_MIN) await enqueueMissing(deps, spec, counts);
  if (spec !== undefined || ageSeconds <= ORPHAN_AGE_SECONDS) return;
  await close(deps, open, counts);
  // Whoever stored the spec meanwhile has set the marker again, or we do.
  if ((await deps.jobs.readSpec(tenant, jobId)) !== undefined) await deps.openJobs.add(tenant, jobId);
}

async function close(
  { live, openJobs }: ReconcileDeps,
  open: OpenJob,
  counts: ReconcileCounts,
): Promise<void> {
  await live.noteFinished(open.jobId);
  await openJobs.remove(open.tenant, open.jobId);
  counts.closed += 1;
}

async function enqueueMissing(deps: ReconcileDeps, spec: JobSpec, counts: ReconcileCounts): Promise<void> {
  const { blocksTotal, blockFlops, result } = planJob(spec);
  if (await deps.queue.knows(spec, blocksTotal)) return;
  const done = new Set(await deps.jobs.listBlocks(spec.tenant, spec.id));
  const missing = Array.from({ length: blocksTotal }, (_, index) => index).filter(index => !done.has(index));
  await deps.live.noteEnqueued(spec.tenant, spec.id, {
    flops: missing.reduce((sum, index) => sum + blockFlops(index), 0n),
    bytes: Math.ceil(((result.dataBytes ?? 0) * missing.length) / blocksTotal),
  });
  // With nothing missing this enqueues the finish alone.
  await deps.queue.enqueue(spec, missing, blocksTotal);
  counts.enqueued += 1;
  deps.log.info({ jobId: spec.id, blocks: missing.length }, 'an unfinished job is enqueued again');
}

/** Reconciles at once and then every RECONCILE_SECONDS, one pass at a time. `stop` waits for a pass under way. */
export function startReconciler(deps: ReconcileDeps): { stop(): Promise<void> } {
  // What is remembered of batches spares most of the reading.
  const progress = createBatchProgress(deps.jobs);
  let pass: Promise<void> | undefined;
  const run = () => {
    pass ??= reconcile(deps, progress)
      .then(
        counts => deps.log.debug({ ...counts }, 'reconciled'),
        (error: unknown) => deps.log.warn({ err: error }, 'reconciling broke off'),
      )
      .finally(() => {
        pass = undefined;
      });
  };
  run();
  const timer = setInterval(run, RECONCILE_SECONDS * 1000).unref();
  return {
    async stop() {
      clearInterval(timer);
      await pass;
    },
  };
}
