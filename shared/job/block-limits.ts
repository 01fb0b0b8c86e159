// How large a block may be. Recorded in every spec, so that block boundaries never move under a running job.

import {
  BLOCK_BYTES_TARGET,
  BLOCK_FLOPS_TARGET,
  BLOCK_MEMORY_SHARE,
  WORKER_MEMORY_BYTES_DEFAULT,
  WORKER_MEMORY_BYTES_MAX,
} from './limits.ts';
import type { BlockLimits } from './spec.ts';

/** Limits under which any worker of `memoryBytes` can compute any block. */
export function blockLimitsFor(memoryBytes: number = WORKER_MEMORY_BYTES_DEFAULT): BlockLimits {
  const usable = Math.min(memoryBytes, WORKER_MEMORY_BYTES_MAX);
  return {
    bytes: BLOCK_BYTES_TARGET,
    flops: String(BLOCK_FLOPS_TARGET),
    workingSetBytes: Math.floor(usable * BLOCK_MEMORY_SHARE),
  };
}
