// Small jobs: those whose overhead would be many times their work if each had a queue entry, a block and an outcome of
// its own. They run and end together with their neighbours in a batch, as a slice of it.

import type { JobPlan } from './job-plan.ts';
import { SMALL_JOB_BYTES_MAX, SMALL_JOB_FLOPS_MAX, SMALL_RESULT_BYTES_MAX } from './limits.ts';

/** Decided once, when the job is accepted, and recorded in its spec: the limits may change between versions. */
export function isSmallJob({ blocksTotal, flops, peakBytes, result }: JobPlan): boolean {
  return (
    blocksTotal === 1 &&
    flops <= SMALL_JOB_FLOPS_MAX &&
    peakBytes <= SMALL_JOB_BYTES_MAX &&
    result.dataBytes !== null &&
    result.dataBytes <= SMALL_RESULT_BYTES_MAX
  );
}
