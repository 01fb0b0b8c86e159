// Cancelling a batch is cancelling each of its jobs, so that each ends once. A crash on the way leaves some cancelled and
// some not; asking again does the rest.

import { errorCode } from '../../shared/errors.ts';
import { lineJobId } from '../../shared/io/batch-ids.ts';
import type { GatewayDeps } from '../deps.ts';
import { cancelJob } from '../jobs/cancel.ts';
import { type BatchDeps, type BatchDocument, describeBatch, findBatch } from './read.ts';

type CancelDeps = BatchDeps & Pick<GatewayDeps, 'metrics' | 'openJobs'>;

/** Writing an outcome is mostly waiting for the disk, which takes many at once. */
const JOBS_AT_ONCE = 32;

/** Jobs that have ended stay as they are. @throws not-found */
export async function cancelBatch(deps: CancelDeps, tenant: string, id: string): Promise<BatchDocument> {
  const footer = await findBatch(deps, tenant, id);
  const states = (await deps.batchProgress.look(tenant, id)) ?? [];
  const left = states.flatMap((state, at) => (state === undefined ? [lineJobId(id, at + 1)] : []));
  const lane = async () => {
    for (let jobId = left.shift(); jobId !== undefined; jobId = left.shift())
      await cancelOne(deps, tenant, jobId);
  };
  await Promise.all(Array.from({ length: JOBS_AT_ONCE }, lane));
  return describeBatch(deps, footer);
}

async function cancelOne(deps: CancelDeps, tenant: string, jobId: string): Promise<void> {
  try {
    await cancelJob(deps, tenant, jobId);
  } catch (error) {
    // It ended, or was deleted, since the batch was looked at.
    const code = errorCode(error);
    if (code !== 'job-finished' && code !== 'not-found') throw error;
  }
}
