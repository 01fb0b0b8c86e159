// How far a batch is. Final states never change, so what was read once is remembered: looking again costs two
// listings and the outcomes that are new.

import type { FinalState } from '../job/outcome.ts';
import { lineIndexOf, lineJobId } from './batch-ids.ts';
import type { BatchOutcome } from './batch-store.ts';
import type { JobStore } from './job-store.ts';

/** Undefined while the line's job is unfinished. */
export type LineState = FinalState | 'rejected' | undefined;

interface Known {
  readonly states: LineState[];
  /** Slices whose ends are among the states. */
  readonly slices: Set<number>;
}

/** Enough for everybody's open batches; each takes a word a line. */
const BATCHES_MAX = 64;
/** Outcomes read side by side: reading is waiting. */
const READS_AT_ONCE = 16;

export type BatchProgress = ReturnType<typeof createBatchProgress>;

export function createBatchProgress(jobs: JobStore) {
  /** Insertion order is recency. */
  const known = new Map<string, Known>();

  async function begin(tenant: string, id: string): Promise<Known | undefined> {
    const batch = await jobs.batches.open(tenant, id);
    if (batch === undefined) return undefined;
    try {
      const states = (await batch.rejections()).map(isRejected => (isRejected ? 'rejected' : undefined));
      return { states, slices: new Set() };
    } finally {
      await batch.close();
    }
  }

  async function lookAtSlices(tenant: string, id: string, { states, slices }: Known): Promise<void> {
    for (const slice of await jobs.batches.slices.list(tenant, id)) {
      if (slices.has(slice)) continue;
      const footer = await jobs.batches.slices.read(tenant, id, slice);
      for (const { line, outcome } of footer?.ended ?? []) states[line - 1] = outcome.state;
      slices.add(slice);
    }
  }

  return {
    /** The state of each record, from the first on; undefined where there is no such batch. */
    async look(tenant: string, id: string): Promise<readonly LineState[] | undefined> {
      const key = `${tenant}/${id}`;
      const batch = known.get(key) ?? (await begin(tenant, id));
      if (batch === undefined) return undefined;
      const { states } = batch;
      known.delete(key);
      known.set(key, batch);
      if (known.size > BATCHES_MAX) known.delete(known.keys().next().value!);
      await lookAtSlices(tenant, id, batch);
      const begun = await jobs.startedLines(tenant, id, lineJobId(id, states.length));
      const open = begun.filter(jobId => states[lineIndexOf(jobId) - 1] === undefined);
      for (let at = 0; at < open.length; at += READS_AT_ONCE) {
        await Promise.all(
          open.slice(at, at + READS_AT_ONCE).map(async jobId => {
            states[lineIndexOf(jobId) - 1] = await jobs.finalState(tenant, jobId);
          }),
        );
      }
      return states;
    },
  };
}

/** Stores how a batch ended, once all of its jobs have; undefined before. */
export async function settleBatch(
  { jobs, clock }: { readonly jobs: JobStore; readonly clock: () => number },
  tenant: string,
  id: string,
  states: readonly LineState[],
): Promise<BatchOutcome | undefined> {
  const { unfinished, ...counts } = countStates(states);
  if (unfinished > 0) return undefined;
  await jobs.batches.putOutcome(tenant, id, {
    version: 1,
    counts,
    finishedAt: new Date(clock()).toISOString(),
  });
  return jobs.batches.readOutcome(tenant, id);
}

export function countStates(
  states: readonly LineState[],
): Record<FinalState | 'rejected' | 'unfinished', number> {
  const counts = { succeeded: 0, failed: 0, cancelled: 0, rejected: 0, unfinished: 0 };
  for (const state of states) counts[state ?? 'unfinished'] += 1;
  return counts;
}
