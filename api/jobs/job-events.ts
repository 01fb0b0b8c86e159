// Tells those who watch a job when to look again. Live events arrive over Redis' publish and subscribe, which may
// lose them, so every watcher also looks by itself now and then; what it then sees in the store is the truth.

import { batchIdOf, lineIndexOf, lineJobId, sliceOfLine } from '../../shared/io/batch-ids.ts';
import type { JobStore } from '../../shared/io/job-store.ts';
import type { LiveEvent } from '../../shared/io/live.ts';
import { SLICE_LINES } from '../../shared/job/limits.ts';
import { Doorbell } from './doorbell.ts';

/** How long a lost event can go unnoticed. */
export const LOOK_AGAIN_MS = 1_000;
/** Who has just submitted a job hears of its end; that it had ended before he listened is noticed so much later. */
const FIRST_LOOK_MS = 200;

export type JobEvents = ReturnType<typeof createJobEvents>;

/** `dispatch` is given every live event that reaches this process (`subscribeLive`). */
export function createJobEvents(jobs: JobStore) {
  const watchers = new Map<string, Set<Pick<Doorbell, 'ring'>>>();

  function watch(jobId: string, doorbell: Pick<Doorbell, 'ring'>): () => void {
    const ofJob = watchers.get(jobId) ?? new Set();
    watchers.set(jobId, ofJob.add(doorbell));
    return () => {
      ofJob.delete(doorbell);
      if (ofJob.size === 0 && watchers.get(jobId) === ofJob) watchers.delete(jobId);
    };
  }

  function ring(jobId: string): void {
    for (const doorbell of watchers.get(jobId) ?? []) doorbell.ring();
  }

  /** One reading serves all who wait for a job of the slice. */
  async function ringSlice({ tenant, jobId: sliceId }: LiveEvent): Promise<void> {
    const batchId = batchIdOf(sliceId);
    const first = lineIndexOf(sliceId);
    const ids = Array.from({ length: SLICE_LINES }, (_, at) => lineJobId(batchId, first + at));
    const watched = ids.filter(jobId => watchers.has(jobId));
    // What cannot be read is met by those who wait, each by himself.
    if (watched.length > 0)
      await jobs.batches.slices.read(tenant, batchId, sliceOfLine(first)).catch(() => undefined);
    for (const jobId of watched) ring(jobId);
  }

  return {
    dispatch(event: LiveEvent): void {
      if (event.type === 'slice') void ringSlice(event);
      else ring(event.jobId);
    },

    /** Rings the doorbell whenever something happens to the job, until the returned function is called. */
    watch,

    /** Whether a job that was just submitted reached its final state within `ms` and before the signal aborted. */
    async waitForFinal(tenant: string, jobId: string, ms: number, signal: AbortSignal): Promise<boolean> {
      const doorbell = new Doorbell();
      const unwatch = watch(jobId, doorbell);
      const deadline = performance.now() + ms;
      try {
        for (let lookMs = FIRST_LOOK_MS; ; lookMs = LOOK_AGAIN_MS) {
          await doorbell.wait(Math.max(0, Math.min(deadline - performance.now(), lookMs)), signal);
          if (await jobs.hasOutcome(tenant, jobId)) return true;
          if (performance.now() >= deadline || signal.aborted) return false;
        }
      } finally {
        unwatch();
      }
    },

    /** For tests: nobody watches any more once every connection has gone. */
    get watchedJobs(): number {
      return watchers.size;
    },
  };
}
