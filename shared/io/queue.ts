// The typed work-list: BullMQ holds references to blocks, never a matrix, a spec or a result. It decides when a
// block is tried (again), never whether a job is complete: the store does. Deliberately absent: the consumer.

import { type FlowJob, FlowProducer, type JobsOptions, Queue } from 'bullmq';
import type { Redis } from 'ioredis';
import type { JobSpec } from '../job/spec.ts';
import { REDIS_PREFIX } from './redis.ts';
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
/** BullMQ serves smaller numbers first and unprioritised jobs before all others, so every job gets a number. */
const PRIORITY_BASE = 10;
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
  /** Enqueues the given blocks of a job; those already known to the queue stay as they are. */
  enqueue(spec: QueuedSpec, blocks: readonly number[], blocksTotal: number): Promise<void>;
  /** Enqueues all blocks of many jobs, a few hundred at a time. */
  enqueueAll(jobs: readonly QueuedJob[]): Promise<void>;
  /** Enqueues slices, at most a few hundred. */
  enqueueSlices(slices: readonly QueuedSlice[]): Promise<void>;
  /** Enqueues blocks of a job whose finish is in the queue already and found them missing. */
  enqueueMissing(spec: QueuedSpec, blocks: readonly number[]): Promise<void>;
  /** Whether the queue holds any entry for the job that will still run. */
  knows(spec: QueuedSpec, blocksTotal: number): Promise<boolean>;
  /** Whether the queue holds an entry for the slice that will still run. */
  knowsSlice(slice: SliceReference): Promise<boolean>;
  /** Entries that any worker could take now. */
  waiting(): Promise<number>;
  close(): Promise<void>;
}

export function createWorkQueue(connection: Redis): WorkQueue {
  const queue = new Queue<WorkReference>(QUEUE_NAME, {
    connection,
    prefix: REDIS_PREFIX,
    streams: { events: { maxLen: EVENTS_LENGTH_MAX } },
    ...queueTelemetry(),
  });
  const flows = new FlowProducer({ connection, prefix: REDIS_PREFIX, ...queueTelemetry() });
  // Connection faults are reported by the connection itself; without listeners they would end the process.
  queue.on('error', () => undefined);
  flows.on('error', () => undefined);

  async function willRun(id: string): Promise<boolean> {
    const state = await queue.getJobState(id);
    return state !== 'unknown' && state !== 'failed' && state !== 'completed';
  }

  return {
    async enqueue(spec, blocks, blocksTotal) {
      if (blocksTotal === 1) {
        await queue.add('block', reference(spec, 0), blockOptions(spec, 0));
        return;
      }
      await flows.add(flowOf(spec, blocks));
    },
    async enqueueAll(jobs) {
      const [single, several] = [jobs.filter(isSingle), jobs.filter(job => !isSingle(job))];
      await queue.addBulk(
        single.map(job => ({ name: 'block', data: reference(job, 0), opts: blockOptions(job, 0) })),
      );
      if (several.length === 0) return;
      await flows.addBulk(
        several.map(job =>
          flowOf(
            job,
            Array.from({ length: job.blocksTotal }, (_, index) => index),
          ),
        ),
      );
    },
    async enqueueSlices(slices) {
      await queue.addBulk(
        slices.map(({ priority, ...data }) => ({
          name: 'slice',
          data,
          opts: { ...entryOptions(priority), jobId: sliceEntryId(data) },
        })),
      );
    },
    async enqueueMissing(spec, blocks) {
      await queue.addBulk(
        blocks.map(block => ({
          name: 'block',
          data: reference(spec, block),
          opts: blockOptions(spec, block),
        })),
      );
    },
    async knows(spec, blocksTotal) {
      return willRun(blocksTotal === 1 ? entryId(spec.id, 0) : entryId(spec.id, null));
    },
    knowsSlice: slice => willRun(sliceEntryId(slice)),
    async waiting() {
      return queue.getJobCountByTypes('prioritized', 'waiting');
    },
    async close() {
      await Promise.all([queue.close(), flows.close()]);
    },
  };
}

function isSingle({ blocksTotal }: QueuedJob): boolean {
  return blocksTotal === 1;
}

function flowOf(spec: QueuedSpec, blocks: readonly number[]): FlowJob {
  return {
    name: 'finish',
    queueName: QUEUE_NAME,
    data: reference(spec, null),
    opts: finishOptions(spec),
    children: blocks.map(block => ({
      name: 'block',
      queueName: QUEUE_NAME,
      data: reference(spec, block),
      // A failed child must not hold its parent for ever: the finish looks into the store itself.
      opts: { ...blockOptions(spec, block), ignoreDependencyOnFailure: true },
    })),
  };
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

function blockOptions(spec: QueuedSpec, block: number): JobsOptions {
  return { ...finishOptions(spec), jobId: entryId(spec.id, block) };
}

function finishOptions(spec: QueuedSpec): JobsOptions {
  return { ...entryOptions(spec.priority), jobId: entryId(spec.id, null) };
}

function entryOptions(priority: number): JobsOptions {
  return {
    priority: PRIORITY_BASE - priority,
    attempts: ATTEMPTS,
    backoff: BACKOFF,
    // Nothing that ended is worth keeping: what it left is in the store. Kept, its id would block a new attempt.
    removeOnComplete: true,
    removeOnFail: true,
  };
}
