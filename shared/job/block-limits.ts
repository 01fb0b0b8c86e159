// How large a block may be. Recorded in every spec, so that block boundaries never move under a running job.

import {
  BLOCK_BYTES_TARGET,
  BLOCK_FLOPS_TARGET,
  BLOCK_MEMORY_SHARE,
  WORKER_MEMORY_BYTES_DEFAULT,
  WORKER_MEMORY_BYTES_MAX,
} from './limits.ts';
import type { BlockLimits } from './spec.ts';

/** Limits under which a worker that holds such working sets can compute any block. */
export function blockLimitsFor(
  workingSetBytes: number = workingSetFor(WORKER_MEMORY_BYTES_DEFAULT),
): BlockLimits {
  return { bytes: BLOCK_BYTES_TARGET, flops: String(BLOCK_FLOPS_TARGET), workingSetBytes };
}

/** The largest working set of a block in a worker of `memoryBytes`, of which its threads leave `freeBytes`. */
export function workingSetFor(memoryBytes: number, freeBytes: number = memoryBytes): number {
  const usable = Math.min(memoryBytes, WORKER_MEMORY_BYTES_MAX);
  return Math.min(Math.floor(usable * BLOCK_MEMORY_SHARE), freeBytes);
}
