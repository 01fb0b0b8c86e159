// Which jobs have not finished: a marker `open/<tenant>/<job id>` for each, so that reconciling and guarding arrays
// cost what is open and not what was ever submitted. A marker is a hint: it may outlive its job (a crash between the
// outcome and its removal) or lack one (a crash before the spec); specs and outcomes decide.

import { BatchStore } from './batch-store.ts';
import type { Store } from './store/store.ts';

const PREFIX = 'open';
/** Marks a batch: one for all of its jobs. */
const BATCH_PREFIX = 'open-batches';

/** A younger job or batch without a marker may be just being accepted. */
export const UNMARKED_SECONDS = 60;

export interface OpenJob {
  readonly tenant: string;
  readonly jobId: string;
}

export type OpenJobs = ReturnType<typeof createOpenJobs>;

export function createOpenJobs(store: Store) {
  const batches = new BatchStore(store);
  return {
    /** Durable when the promise resolves. To be awaited before a job is promised to anyone. */
    async add(tenant: string, jobId: string): Promise<void> {
      await store.put(`${PREFIX}/${tenant}/${jobId}`, [], { exclusive: false });
    },

    /** To be called once the outcome is stored. May be repeated. */
    async remove(tenant: string, jobId: string): Promise<void> {
      await store.delete(`${PREFIX}/${tenant}/${jobId}`, { durable: false });
    },

    async has(tenant: string, jobId: string): Promise<boolean> {
      return (await store.stat(`${PREFIX}/${tenant}/${jobId}`)) !== undefined;
    },

    async addBatch(tenant: string, batchId: string): Promise<void> {
      await store.put(`${BATCH_PREFIX}/${tenant}/${batchId}`, [], { exclusive: false });
    },

    async hasBatch(tenant: string, batchId: string): Promise<boolean> {
      return (await store.stat(`${BATCH_PREFIX}/${tenant}/${batchId}`)) !== undefined;
    },

    async removeBatch(tenant: string, batchId: string): Promise<void> {
      await store.delete(`${BATCH_PREFIX}/${tenant}/${batchId}`, { durable: false });
    },

    /** The ids of a tenant's open jobs, newest first, all of them or those older than `before`; those of batches, too. */
    async newestFirst(tenant: string, before?: string): Promise<string[]> {
      const ids = await store.list(`${PREFIX}/${tenant}`, { reverse: true, before });
      for (const batchId of await store.list(`${BATCH_PREFIX}/${tenant}`)) {
        for await (const jobId of batches.jobIdsOf(tenant, batchId, before)) ids.push(jobId);
      }
      return ids.sort().reverse();
    },

    /** The same without the jobs of batches. */
    single(tenant: string): Promise<string[]> {
      return store.list(`${PREFIX}/${tenant}`, { reverse: true });
    },

    /** The ids of a tenant's batches that may have unfinished jobs. */
    batches(tenant: string): Promise<string[]> {
      return store.list(`${BATCH_PREFIX}/${tenant}`);
    },

    /** The open batches of all tenants; `jobId` is the batch's id. */
    async *allBatches(): AsyncGenerator<OpenJob> {
      for (const tenant of await store.list(BATCH_PREFIX)) {
        for (const jobId of await store.list(`${BATCH_PREFIX}/${tenant}`)) yield { tenant, jobId };
      }
    },

    /** The open jobs of all tenants but those of batches, oldest first within each. */
    async *all(): AsyncGenerator<OpenJob> {
      for (const tenant of await store.list(PREFIX)) {
        for (const jobId of await store.list(`${PREFIX}/${tenant}`)) yield { tenant, jobId };
      }
    },
  };
}
