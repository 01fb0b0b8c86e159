// Deaths of workers over a block, counted where they outlive Redis: a marker for each attempt, named by the worker's
// life. One that ends in any orderly way takes its marker away, so what stays behind are deaths. Only suspected
// blocks get markers, so the ordinary road writes none; deleting the job removes them with everything else of it.

import { jobKey } from './job-store.ts';
import type { Store } from './store/store.ts';

export interface BlockAddress {
  readonly tenant: string;
  readonly jobId: string;
  readonly block: number;
}

export type BlockAttempts = ReturnType<typeof createBlockAttempts>;

/** @param life names this life of the process: unique, so that a restarted worker does not take itself for the dead one. */
export function createBlockAttempts(store: Store, life: string) {
  const attemptsKey = ({ tenant, jobId, block }: BlockAddress) =>
    `${jobKey(tenant, jobId)}/attempts/${block}`;

  return {
    /** Attempts that never ended. One that runs right now elsewhere counts: it has not ended either. */
    async count(address: BlockAddress): Promise<number> {
      const lives = await store.list(attemptsKey(address));
      return lives.filter(other => other !== life).length;
    },

    /** Durable when the promise resolves. */
    async begin(address: BlockAddress): Promise<void> {
      await store.put(`${attemptsKey(address)}/${life}`, [], { exclusive: false });
    },

    /** May be repeated. */
    async end(address: BlockAddress): Promise<void> {
      await store.delete(`${attemptsKey(address)}/${life}`);
    },
  };
}
