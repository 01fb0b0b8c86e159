// Batches and the work-list: all jobs of a new batch are enqueued in bulk, those that the work-list lost are enqueued
// again, and a batch whose jobs have all ended is closed.

import { decodeTime } from 'ulid';
import { type BatchProgress, countStates, type LineState, settleBatch } from './batch-progress.ts';
import { type BatchRecord, isRejected, type OpenBatch, specOfLine } from './batch-store.ts';
import type { OpenJob } from './open-jobs.ts';
import type { QueuedJob } from './queue.ts';
import type { ReconcileCounts, ReconcileDeps } from './reconciler.ts';

/** Redis does nothing else while it adds these. */
const JOBS_AT_ONCE = 500;

type EnqueueDeps = Pick<ReconcileDeps, 'jobs' | 'queue' | 'live'>;

interface Line {
  readonly job: QueuedJob;
  readonly flops: string;
}

/** Enqueues every job of a batch; those that the queue knows stay as they are. */
export async function enqueueBatch(deps: EnqueueDeps, tenant: string, id: string): Promise<void> {
  const batch = await deps.jobs.batches.open(tenant, id);
  if (batch === undefined) return;
  try {
    for await (const lines of inGroups(linesOf(batch))) await enqueueLines(deps, tenant, lines);
  } finally {
    await batch.close();
  }
  // Every job has its own place now.
  await deps.live.release(id);
}

async function enqueueLines(
  { live, queue }: EnqueueDeps,
  tenant: string,
  lines: readonly Line[],
): Promise<void> {
  await live.noteAllEnqueued(
    tenant,
    lines.map(({ job, flops }) => ({ jobId: job.id, flops })),
  );
  await queue.enqueueAll(lines.map(({ job }) => job));
}

async function* linesOf(batch: OpenBatch): AsyncGenerator<Line> {
  let index = 0;
  for await (const record of batch.records()) {
    index += 1;
    if (!isRejected(record)) yield lineOf(batch, index, record);
  }
}

function lineOf(
  { footer }: OpenBatch,
  index: number,
  record: Exclude<BatchRecord, { problem: unknown }>,
): Line {
  const { id, tenant, priority } = specOfLine(footer, index, record.spec);
  return { job: { id, tenant, priority, blocksTotal: record.blocksTotal }, flops: record.flops };
}

async function* inGroups<T>(items: AsyncIterable<T>): AsyncGenerator<T[]> {
  let group: T[] = [];
  for await (const item of items) {
    group.push(item);
    if (group.length < JOBS_AT_ONCE) continue;
    yield group;
    group = [];
  }
  if (group.length > 0) yield group;
}

/** @returns how many of its jobs are unfinished */
export async function reconcileBatch(
  deps: ReconcileDeps,
  progress: BatchProgress,
  { tenant, jobId: id }: OpenJob,
  counts: ReconcileCounts,
  ages: { readonly enqueueSeconds: number; readonly orphanSeconds: number },
): Promise<number> {
  const ageSeconds = (deps.clock() - decodeTime(id)) / 1000;
  const states = await progress.look(tenant, id);
  if (states === undefined) {
    if (ageSeconds <= ages.orphanSeconds) return 0;
    await close(deps, tenant, id, counts);
    // As with jobs: the batch may have come just now.
    if ((await deps.jobs.batches.footer(tenant, id)) !== undefined) await deps.openJobs.addBatch(tenant, id);
    return 0;
  }
  if ((await settleBatch(deps, tenant, id, states)) !== undefined) await close(deps, tenant, id, counts);
  else if (ageSeconds >= ages.enqueueSeconds) await enqueueLost(deps, tenant, id, states, counts);
  return countStates(states).unfinished;
}

async function close(
  { live, openJobs }: ReconcileDeps,
  tenant: string,
  id: string,
  counts: ReconcileCounts,
): Promise<void> {
  await live.release(id);
  await openJobs.removeBatch(tenant, id);
  counts.closed += 1;
}

/**
 * Jobs are enqueued and mostly finished in order. Where the queue knows the first and the last unfinished ones it is
 * taken to know those between; one that was lost there is found when it has become the first.
 */
async function enqueueLost(
  deps: ReconcileDeps,
  tenant: string,
  id: string,
  states: readonly LineState[],
  counts: ReconcileCounts,
): Promise<void> {
  const unfinished = states.flatMap((state, at) => (state === undefined ? [at + 1] : []));
  const batch = await deps.jobs.batches.open(tenant, id);
  if (batch === undefined) return;
  try {
    const firstLost = await lostLines(deps, batch, unfinished.slice(0, JOBS_AT_ONCE));
    const lastLost = await lostLines(deps, batch, unfinished.slice(JOBS_AT_ONCE).slice(-JOBS_AT_ONCE));
    if (firstLost.length === 0 && lastLost.length === 0) return;
    for (let at = 0; at < unfinished.length; at += JOBS_AT_ONCE) {
      const lost = await lostLines(deps, batch, unfinished.slice(at, at + JOBS_AT_ONCE));
      if (lost.length > 0) await enqueueLines(deps, tenant, lost);
      counts.enqueued += lost.length;
    }
    deps.log.info({ batchId: id, jobs: counts.enqueued }, 'unfinished jobs of a batch are enqueued again');
  } finally {
    await batch.close();
  }
}

async function lostLines(
  { queue, jobs }: ReconcileDeps,
  batch: OpenBatch,
  indexes: readonly number[],
): Promise<Line[]> {
  const lines: Line[] = [];
  for (const index of indexes) {
    const record = await batch.record(index);
    if (!isRejected(record)) lines.push(lineOf(batch, index, record));
  }
  const known = await Promise.all(lines.map(({ job }) => queue.knows(job, job.blocksTotal)));
  const lost = lines.filter((_, at) => !known[at]);
  // What ended since the batch was looked at has left the queue rightly.
  const ended = await Promise.all(lost.map(({ job }) => jobs.hasOutcome(job.tenant, job.id)));
  return lost.filter((_, at) => !ended[at]);
}
