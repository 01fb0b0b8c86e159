// The typed work-list: BullMQ holds references to blocks, never a matrix, a spec or a result. It decides when a
// block is tried (again), never whether a job is complete: the store does. Deliberately absent: the consumer.

import { type FlowJob, FlowProducer, type JobsOptions, Queue } from 'bullmq';
import type { Redis } from 'ioredis';
import { QUEUED_BLOCKS_MAX } from '../job/limits.ts';
import type { JobSpec } from '../job/spec.ts';
import { REDIS_PREFIX } from './redis.ts';
import { createRounds, placeOf } from './rounds.ts';
import { queueTelemetry } from './tracing.ts';

export const QUEUE_NAME = 'blocks';

/** A block to compute, or (block null) the finish of a job whose blocks are all done. */
export interface BlockReference {
  readonly tenant: string;
  readonly jobId: string;
  readonly block: number | null;
}

/** The small jobs of a slice of a batch, to be computed and ended together. */
export interface SliceReference {
  readonly tenant: string;
  readonly batchId: string;
  readonly slice: number;
}

export type WorkReference = BlockReference | SliceReference;

/** Outages are waited out for about an hour; after that the reconciler enqueues what is still missing. */
const ATTEMPTS = 12;
const BACKOFF = { type: 'exponential', delay: 500, jitter: 0.5 } as const;
/** Events are not used (state comes from the store), so their stream is kept as short as it goes. */
const EVENTS_LENGTH_MAX = 100;

/** All that the queue needs to know of a job. */
type QueuedSpec = Pick<JobSpec, 'id' | 'tenant' | 'priority'>;

export interface QueuedJob extends QueuedSpec {
  readonly blocksTotal: number;
}

export interface QueuedSlice extends SliceReference {
  /** The highest of its jobs. */
  readonly priority: number;
}

export interface WorkQueue {
  /** Enqueues the first of the given blocks of a job, and its finish; those already known to the queue stay as they are. */
  enqueue(spec: QueuedSpec, blocks: readonly number[], blocksTotal: number): Promise<void>;
  /** Enqueues many jobs, a few hundred at a time. */
  enqueueAll(jobs: readonly QueuedJob[]): Promise<void>;
  /** Enqueues slices, at most a few hundred. */
  enqueueSlices(slices: readonly QueuedSlice[]): Promise<void>;
  /** Enqueues the first of the blocks that the finish of a job, which is being served, found missing: it is to wait for them. */
  enqueueMissing(spec: QueuedSpec, blocks: readonly number[]): Promise<void>;
  /** Whether the queue holds any entry for the job that will still run. */
  knows(spec: QueuedSpec, blocksTotal: number): Promise<boolean>;
  /** Whether the queue holds an entry for the slice that will still run. */
  knowsSlice(slice: SliceReference): Promise<boolean>;
  /** Entries that any worker could take now. */
  waiting(): Promise<number>;
  /** A worker has taken an entry that has this place in the queue (BullMQ's priority). */
  noteTaken(place: number): Promise<void>;
  close(): Promise<void>;
}

/** @param blocksAtOnce blocks of one job that are in the queue at a time */
export function createWorkQueue(connection: Redis, blocksAtOnce = QUEUED_BLOCKS_MAX): WorkQueue {
  const queue = new Queue<WorkReference>(QUEUE_NAME, {
    connection,
    prefix: REDIS_PREFIX,
    streams: { events: { maxLen: EVENTS_LENGTH_MAX } },
    ...queueTelemetry(),
  });
  const flows = new FlowProducer({ connection, prefix: REDIS_PREFIX, ...queueTelemetry() });
  const rounds = createRounds(connection, state => queue.toKey(state));
  // Connection faults are reported by the connection itself; without listeners they would end the process.
  queue.on('error', () => undefined);
  flows.on('error', () => undefined);

  async function willRun(id: string): Promise<boolean> {
    const state = await queue.getJobState(id);
    return state !== 'unknown' && state !== 'failed' && state !== 'completed';
  }

  return {
    async enqueue(spec, blocks, blocksTotal) {
      const [round] = await rounds.begin([spec]);
      if (blocksTotal === 1) await queue.addBulk(blockEntries(spec, [0], round!));
      else await flows.add(flowOf(spec, blocks.slice(0, blocksAtOnce), round!));
    },
    async enqueueAll(jobs) {
      const firsts = await rounds.begin(jobs);
      const placed = jobs.map((job, at) => ({ job, round: firsts[at]! }));
      const [single, several] = [placed.filter(isSingle), placed.filter(one => !isSingle(one))];
      await queue.addBulk(single.flatMap(({ job, round }) => blockEntries(job, [0], round)));
      if (several.length === 0) return;
      await flows.addBulk(
        several.map(({ job, round }) =>
          flowOf(
            job,
            Array.from({ length: Math.min(job.blocksTotal, blocksAtOnce) }, (_, index) => index),
            round,
          ),
        ),
      );
    },
    async enqueueSlices(slices) {
      const batches = groupByBatch(slices);
      const firsts = await rounds.begin(batches.map(([slice]) => slice!));
      await queue.addBulk(batches.flatMap((batch, at) => sliceEntries(batch, firsts[at]!)));
    },
    async enqueueMissing(spec, blocks) {
      const [round] = await rounds.begin([spec]);
      const parent = { id: entryId(spec.id, null), queue: queue.qualifiedName };
      const entries = childEntries(spec, blocks.slice(0, blocksAtOnce), round!);
      await queue.addBulk(entries.map(entry => ({ ...entry, opts: { ...entry.opts, parent } })));
    },
    async knows(spec, blocksTotal) {
      return willRun(blocksTotal === 1 ? entryId(spec.id, 0) : entryId(spec.id, null));
    },
    knowsSlice: slice => willRun(sliceEntryId(slice)),
    async waiting() {
      return queue.getJobCountByTypes('prioritized', 'waiting');
    },
    noteTaken: place => rounds.serve(place),
    async close() {
      await Promise.all([queue.close(), flows.close()]);
    },
  };
}

function isSingle({ job }: { readonly job: QueuedJob }): boolean {
  return job.blocksTotal === 1;
}

/** Slices of one batch are to a tenant's other jobs as the blocks of one job, as far as they are equally urgent. */
function groupByBatch(slices: readonly QueuedSlice[]): QueuedSlice[][] {
  const batches = new Map<string, QueuedSlice[]>();
  for (const slice of slices) {
    const key = `${slice.batchId} ${slice.priority}`;
    batches.set(key, [...(batches.get(key) ?? []), slice]);
  }
  return [...batches.values()];
}

/** A job that ends when its blocks have. Its end stands before all that waits: it is short, and frees what is held. */
function flowOf(spec: QueuedSpec, blocks: readonly number[], round: number): FlowJob {
  return {
    name: 'finish',
    queueName: QUEUE_NAME,
    data: reference(spec, null),
    opts: { ...entryOptions(placeOf(spec.priority, 0)), jobId: entryId(spec.id, null) },
    children: childEntries(spec, blocks, round).map(entry => ({ ...entry, queueName: QUEUE_NAME })),
  };
}

/** What a finish waits for. Of a job of more blocks it will find the others missing. */
function childEntries(spec: QueuedSpec, blocks: readonly number[], round: number) {
  return blockEntries(spec, blocks, round).map(entry => ({
    ...entry,
    // A failed child must not hold its parent for ever: the finish looks into the store itself.
    opts: { ...entry.opts, ignoreDependencyOnFailure: true },
  }));
}

/** One block in each round. */
function blockEntries(spec: QueuedSpec, blocks: readonly number[], round: number) {
  return blocks.map((block, at) => ({
    name: 'block',
    data: reference(spec, block),
    opts: { ...entryOptions(placeOf(spec.priority, round + at)), jobId: entryId(spec.id, block) },
  }));
}

function sliceEntries(slices: readonly QueuedSlice[], round: number) {
  return slices.map(({ priority, ...data }, at) => ({
    name: 'slice',
    data,
    opts: { ...entryOptions(placeOf(priority, round + at)), jobId: sliceEntryId(data) },
  }));
}

function reference(spec: QueuedSpec, block: number | null): BlockReference {
  return { tenant: spec.tenant, jobId: spec.id, block };
}

/** A custom id makes adding idempotent. It may hold no colon and be no integer. */
function entryId(jobId: string, block: number | null): string {
  return block === null ? `${jobId}-finish` : `${jobId}-b${block}`;
}

function sliceEntryId({ batchId, slice }: SliceReference): string {
  return `${batchId}-s${slice}`;
}

function entryOptions(priority: number): JobsOptions {
  return {
    priority,
    attempts: ATTEMPTS,
    backoff: BACKOFF,
    // Nothing that ended is worth keeping: what it left is in the store. Kept, its id would block a new attempt.
    removeOnComplete: true,
    removeOnFail: true,
  };
}
