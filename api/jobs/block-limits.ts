// How large the blocks of a new job may be: whichever live worker takes one must have room for it. A job that no block
// size can fit into the smallest of them is refused, instead of waiting for ever.

import { blockLimitsFor } from '../../shared/job/block-limits.ts';
import { WORKER_MEMORY_BYTES_DEFAULT } from '../../shared/job/limits.ts';
import type { BlockLimits } from '../../shared/job/spec.ts';
import type { GatewayDeps } from '../deps.ts';

/** Without a worker, or without Redis to ask for them, those of a usual one. Larger workers do not make larger blocks. */
export async function currentBlockLimits({
  live,
  log,
  clock,
}: Pick<GatewayDeps, 'live' | 'log' | 'clock'>): Promise<BlockLimits> {
  const workers = await live.workers(clock()).catch((error: unknown) => {
    log.debug({ err: error }, 'the memory of the workers is not known');
    return [];
  });
  const memories = workers.map(worker => worker.memoryBytes);
  return blockLimitsFor(Math.min(WORKER_MEMORY_BYTES_DEFAULT, ...memories));
}
