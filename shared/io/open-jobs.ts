// Which jobs have not finished: a marker `open/<tenant>/<job id>` for each, so that reconciling and guarding arrays
// cost what is open and not what was ever submitted. A marker is a hint: it may outlive its job (a crash between the
// outcome and its removal) or lack one (a crash before the spec); specs and outcomes decide.

import type { Store } from './store/store.ts';

const PREFIX = 'open';

export interface OpenJob {
  readonly tenant: string;
  readonly jobId: string;
}

export type OpenJobs = ReturnType<typeof createOpenJobs>;

export function createOpenJobs(store: Store) {
  return {
    /** Durable when the promise resolves. To be awaited before a job is promised to anyone. */
    async add(tenant: string, jobId: string): Promise<void> {
      await store.put(`${PREFIX}/${tenant}/${jobId}`, [], { exclusive: false });
    },

    /** To be called once the outcome is stored. May be repeated. */
    async remove(tenant: string, jobId: string): Promise<void> {
      await store.delete(`${PREFIX}/${tenant}/${jobId}`);
    },

    /** The ids of a tenant's open jobs, newest first, all of them or those older than `before`. */
    newestFirst(tenant: string, before?: string): Promise<string[]> {
      return store.list(`${PREFIX}/${tenant}`, { reverse: true, before });
    },

    /** The open jobs of all tenants, oldest first within each. */
    async *all(): AsyncGenerator<OpenJob> {
      for (const tenant of await store.list(PREFIX)) {
        for (const jobId of await store.list(`${PREFIX}/${tenant}`)) yield { tenant, jobId };
      }
    },
  };
}
