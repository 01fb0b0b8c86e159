// Batches and the work-list: all jobs of a new batch are enqueued in bulk, those that the work-list lost are enqueued
// again, and a batch whose jobs have all ended is closed.

import { decodeTime } from 'ulid';
import { SLICE_LINES } from '../job/limits.ts';
import { sliceId, sliceOfLine } from './batch-ids.ts';
import { type BatchProgress, countStates, type LineState, settleBatch } from './batch-progress.ts';
import { type BatchFooter, type BatchRecord, isRejected, type OpenBatch, specOfLine } from './batch-store.ts';
import type { Place } from './live.ts';
import type { OpenJob } from './open-jobs.ts';
import type { QueuedJob, QueuedSlice } from './queue.ts';
import type { ReconcileCounts, ReconcileDeps } from './reconciler.ts';

/** Redis does nothing else while it adds these. */
const JOBS_AT_ONCE = 500;

type EnqueueDeps = Pick<ReconcileDeps, 'jobs' | 'queue' | 'live'>;

/** What the work-list is told of: a job, or the small jobs of a slice. */
type Work = { readonly place: Place } & ({ readonly job: QueuedJob } | { readonly slice: QueuedSlice });

/** Enqueues every job of a batch; those that the queue knows stay as they are. */
export async function enqueueBatch(deps: EnqueueDeps, tenant: string, id: string): Promise<void> {
  const batch = await deps.jobs.batches.open(tenant, id);
  if (batch === undefined) return;
  try {
    for await (const works of inGroups(worksOf(batch))) await enqueueWorks(deps, tenant, works);
  } finally {
    await batch.close();
  }
  // Every job has its own place now.
  await deps.live.release(id);
}

async function enqueueWorks(
  { live, queue }: EnqueueDeps,
  tenant: string,
  works: readonly Work[],
): Promise<void> {
  await live.noteAllEnqueued(
    tenant,
    works.map(({ place }) => place),
  );
  const slices = works.flatMap(work => ('slice' in work ? [work.slice] : []));
  const jobs = works.flatMap(work => ('job' in work ? [work.job] : []));
  if (slices.length > 0) await queue.enqueueSlices(slices);
  if (jobs.length > 0) await queue.enqueueAll(jobs);
}

/** A slice comes after the last of its lines. */
async function* worksOf(batch: OpenBatch): AsyncGenerator<Work> {
  let small: Line[] = [];
  let index = 0;
  for await (const record of batch.records()) {
    index += 1;
    if (!isRejected(record)) {
      const line = lineOf(batch, index, record);
      if (record.spec.isSmall) small.push(line);
      else yield jobWork(line);
    }
    if (small.length > 0 && (index % SLICE_LINES === 0 || index === batch.footer.total)) {
      yield sliceWork(batch.footer, small);
      small = [];
    }
  }
}

interface Line {
  readonly job: QueuedJob;
  readonly index: number;
  readonly isSmall: boolean;
  readonly flops: string;
  readonly bytes: number;
}

function lineOf(
  { footer }: OpenBatch,
  index: number,
  record: Exclude<BatchRecord, { problem: unknown }>,
): Line {
  const { id, tenant, priority } = specOfLine(footer, index, record.spec);
  const job = { id, tenant, priority, blocksTotal: record.blocksTotal };
  const { flops, resultBytes: bytes } = record;
  return { job, index, isSmall: record.spec.isSmall === true, flops, bytes };
}

function jobWork({ job, flops, bytes }: Line): Work {
  return { job, place: { id: job.id, jobs: 1, flops, bytes } };
}

/** @param lines small ones of one slice, at least one */
function sliceWork({ tenant, id: batchId }: BatchFooter, lines: readonly Line[]): Work {
  const slice = sliceOfLine(lines[0]!.index);
  const flops = lines.reduce((sum, line) => sum + BigInt(line.flops), 0n);
  const priority = Math.max(...lines.map(({ job }) => job.priority));
  const bytes = lines.reduce((sum, line) => sum + line.bytes, 0);
  const place = { id: sliceId(batchId, slice), jobs: lines.length, flops: String(flops), bytes };
  return { slice: { tenant, batchId, slice, priority }, place };
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
    const firstLost = await lostWorks(deps, batch, unfinished.slice(0, JOBS_AT_ONCE));
    const lastLost = await lostWorks(deps, batch, unfinished.slice(JOBS_AT_ONCE).slice(-JOBS_AT_ONCE));
    if (firstLost.length === 0 && lastLost.length === 0) return;
    for (let at = 0; at < unfinished.length; at += JOBS_AT_ONCE) {
      const lost = await lostWorks(deps, batch, unfinished.slice(at, at + JOBS_AT_ONCE));
      if (lost.length > 0) await enqueueWorks(deps, tenant, lost);
      counts.enqueued += lost.length;
    }
    deps.log.info({ batchId: id, jobs: counts.enqueued }, 'unfinished jobs of a batch are enqueued again');
  } finally {
    await batch.close();
  }
}

/** What of these lines neither has ended nor is known to the queue. */
async function lostWorks(deps: ReconcileDeps, batch: OpenBatch, indexes: readonly number[]): Promise<Work[]> {
  const lines: Line[] = [];
  for (const index of indexes) {
    const record = await batch.record(index);
    if (!isRejected(record)) lines.push(lineOf(batch, index, record));
  }
  const slices = new Map<number, Line[]>();
  const single: Line[] = [];
  for (const line of lines) {
    const slice = sliceOfLine(line.index);
    // Once its slice is written, what the slice does not name ends by itself.
    const isOfSlice = line.isSmall && !(await isWritten(deps, batch, slice));
    if (isOfSlice) slices.set(slice, [...(slices.get(slice) ?? []), line]);
    else single.push(line);
  }
  const works: Work[] = [];
  for (const [slice, small] of slices) {
    const { tenant, id: batchId } = batch.footer;
    if (!(await deps.queue.knowsSlice({ tenant, batchId, slice })))
      works.push(sliceWork(batch.footer, small));
  }
  const known = await Promise.all(single.map(({ job }) => deps.queue.knows(job, job.blocksTotal)));
  const lost = single.filter((_, at) => !known[at]);
  // What ended since the batch was looked at has left the queue rightly.
  const ended = await Promise.all(lost.map(({ job }) => deps.jobs.hasOutcome(job.tenant, job.id)));
  return [...works, ...lost.filter((_, at) => !ended[at]).map(jobWork)];
}

async function isWritten({ jobs }: ReconcileDeps, { footer }: OpenBatch, slice: number): Promise<boolean> {
  return (await jobs.batches.slices.read(footer.tenant, footer.id, slice)) !== undefined;
}
