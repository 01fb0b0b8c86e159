// How large the blocks of a new job may be: whichever live worker takes one must have room for it. A job that no block
// size can fit into the smallest of them is refused, instead of waiting for ever. main.ts adds a worker of the memory that
// is configured, if any.

import { blockLimitsFor, workingSetFor } from '../../shared/job/block-limits.ts';
import { WORKER_MEMORY_BYTES_DEFAULT } from '../../shared/job/limits.ts';
import type { BlockLimits } from '../../shared/job/spec.ts';
import type { GatewayDeps } from '../deps.ts';

/** Those of a usual worker where none was ever seen. Larger workers do not make larger blocks. */
export async function currentBlockLimits({ live }: Pick<GatewayDeps, 'live'>): Promise<BlockLimits> {
  const workingSets = await live.workingSets();
  return blockLimitsFor(Math.min(workingSetFor(WORKER_MEMORY_BYTES_DEFAULT), ...workingSets));
}
