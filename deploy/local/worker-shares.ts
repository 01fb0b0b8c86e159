// A worker process addresses 4 GiB of matrices. A machine that is given more for them runs as many workers as that
// takes, and shares its memory and its threads out among them; blocks of one job run on all of them anyway.

import type { Config } from '../../shared/io/config.ts';
import { computeCores } from '../../shared/io/cores.ts';
import { WORKER_MEMORY_BYTES_MAX } from '../../shared/job/limits.ts';

/**
 * The environment of each worker process beside what all have: one with nothing of its own where the memory is that of
 * one process, or is left to it. Never more processes than threads: the rest of the memory is then left alone.
 */
export function workerShares({
  memoryBytes,
  threads,
}: Config<'memoryBytes' | 'threads'>): NodeJS.ProcessEnv[] {
  if (memoryBytes === undefined || memoryBytes <= WORKER_MEMORY_BYTES_MAX) return [{}];
  const total = threads ?? computeCores();
  const count = Math.min(Math.ceil(memoryBytes / WORKER_MEMORY_BYTES_MAX), total);
  const bytes = Math.min(Math.floor(memoryBytes / count), WORKER_MEMORY_BYTES_MAX);
  return Array.from({ length: count }, (_, index) => ({
    FRECHET_MEMORY_BYTES: String(bytes),
    // As even as it goes, and all of them.
    FRECHET_THREADS: String(Math.floor((total * (index + 1)) / count) - Math.floor((total * index) / count)),
  }));
}
