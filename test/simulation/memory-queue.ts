// The work-list as BullMQ keeps it, in memory: entries known by id, a parent that waits for its children, locks that
// lapse, and a whole that can be lost at any moment.

import type { WorkQueue, WorkReference } from '../../shared/io/queue.ts';
import type { Random } from '../support/random.ts';
import type { Life } from './scheduler.ts';

/** Fewer than in production, so that waiting for the last takes seconds; what then drops out, the reconciler finds. */
const ATTEMPTS = 5;
const BACKOFF_MS = 500;

export interface Entry {
  readonly id: string;
  readonly reference: WorkReference;
  /** Children that have not ended. */
  readonly children: Set<string>;
  holder: Life | undefined;
  attempts: number;
  stalls: number;
  /** Not before. */
  dueMs: number;
}

export class Entries {
  readonly map = new Map<string, Entry>();
  readonly #random: Random;
  readonly #now: () => number;

  constructor(random: Random, now: () => number) {
    this.#random = random;
    this.#now = now;
  }

  /** An entry that is known already stays as it is, but for what it waits for. */
  add(reference: WorkReference, children: readonly string[] = []): void {
    const id = referenceId(reference);
    const state = { holder: undefined, attempts: 0, stalls: 0, dueMs: 0 };
    const entry = this.map.get(id) ?? { id, reference, children: new Set<string>(), ...state };
    for (const child of children) entry.children.add(child);
    this.map.set(id, entry);
  }

  /** Some entry that nobody holds and that waits for nothing. */
  claim(holder: Life): Entry | undefined {
    const free = [...this.map.values()].filter(
      entry => entry.holder === undefined && entry.children.size === 0 && entry.dueMs <= this.#now(),
    );
    if (free.length === 0) return undefined;
    const entry = this.#random.pick(free);
    entry.holder = holder;
    return entry;
  }

  /** Nothing happens where the entry has been taken away meanwhile: its lock has lapsed. */
  complete(entry: Entry, holder: Life): void {
    if (this.map.get(entry.id) === entry && entry.holder === holder) this.#remove(entry);
  }

  fail(entry: Entry, holder: Life): void {
    if (this.map.get(entry.id) !== entry || entry.holder !== holder) return;
    entry.attempts += 1;
    entry.holder = undefined;
    entry.dueMs = this.#now() + BACKOFF_MS * 2 ** entry.attempts;
    if (entry.attempts >= ATTEMPTS) this.#remove(entry);
  }

  /** Nobody renews the lock of an entry whose end could not be told. */
  abandon(entry: Entry, holder: Life): void {
    if (entry.holder === holder) entry.holder = { name: holder.name, isOver: true };
  }

  /** Takes entries back from the dead, and from the living of whom `isTakenForDead` says so. */
  takeBack(isTakenForDead: (life: Life) => boolean): void {
    for (const entry of this.map.values()) {
      const { holder } = entry;
      if (holder === undefined || !(holder.isOver || isTakenForDead(holder))) continue;
      entry.holder = undefined;
      entry.stalls += 1;
    }
  }

  #remove(entry: Entry): void {
    this.map.delete(entry.id);
    if ('slice' in entry.reference) return;
    this.map.get(entryId(entry.reference.jobId, null))?.children.delete(entry.id);
  }
}

/** @param gate a step, at which Redis may also be away */
export function createMemoryQueue(entries: Entries, gate: () => Promise<void>): WorkQueue {
  async function effect<T>(act: () => T): Promise<T> {
    await gate();
    const result = act();
    await gate();
    return result;
  }
  const addBlocks = (tenant: string, jobId: string, blocks: readonly number[]) => {
    for (const block of blocks) entries.add({ tenant, jobId, block });
  };
  const addJob = (tenant: string, jobId: string, blocks: readonly number[], blocksTotal: number) => {
    if (blocksTotal === 1) return addBlocks(tenant, jobId, [0]);
    const children = blocks.map(block => entryId(jobId, block));
    entries.add({ tenant, jobId, block: null }, children);
    addBlocks(tenant, jobId, blocks);
  };
  return {
    enqueue: ({ tenant, id }, blocks, total) => effect(() => addJob(tenant, id, blocks, total)),
    enqueueAll: jobs =>
      effect(() => {
        for (const { tenant, id, blocksTotal } of jobs)
          addJob(
            tenant,
            id,
            Array.from({ length: blocksTotal }, (_, index) => index),
            blocksTotal,
          );
      }),
    enqueueSlices: slices =>
      effect(() => {
        for (const { tenant, batchId, slice } of slices) entries.add({ tenant, batchId, slice });
      }),
    enqueueMissing: ({ tenant, id }, blocks) => effect(() => addBlocks(tenant, id, blocks)),
    async knows({ id }, total) {
      await gate();
      return entries.map.has(entryId(id, total === 1 ? 0 : null));
    },
    async knowsSlice(slice) {
      await gate();
      return entries.map.has(referenceId(slice));
    },
    async waiting() {
      await gate();
      return entries.map.size;
    },
    noteTaken: async () => undefined,
    close: async () => undefined,
  };
}

function referenceId(reference: WorkReference): string {
  if ('slice' in reference) return `${reference.batchId}-s${reference.slice}`;
  return entryId(reference.jobId, reference.block);
}

function entryId(jobId: string, block: number | null): string {
  return block === null ? `${jobId}-finish` : `${jobId}-b${block}`;
}
