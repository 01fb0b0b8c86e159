// The blocks a worker is busy with, so that a cancellation finds them and their progress can be told. A block may be
// cancelled before it computes (waiting for memory, loading); it is told as soon as it begins.

import type { Execution } from './execute/executor.ts';

export interface ActiveBlock {
  readonly tenant: string;
  readonly jobId: string;
  readonly block: number;
  readonly flops: bigint;
  isCancelled: boolean;
  execution: Execution | undefined;
}

export type ActiveBlocks = ReturnType<typeof createActiveBlocks>;

export function createActiveBlocks() {
  const active = new Set<ActiveBlock>();
  return {
    begin(of: Pick<ActiveBlock, 'tenant' | 'jobId' | 'block' | 'flops'>): ActiveBlock {
      const block = { ...of, isCancelled: false, execution: undefined };
      active.add(block);
      return block;
    },
    end(block: ActiveBlock): void {
      active.delete(block);
    },
    /** Hands the block its computation, which is cancelled at once where the block was. */
    attach(block: ActiveBlock, execution: Execution): void {
      block.execution = execution;
      if (block.isCancelled) execution.cancel();
    },
    cancelJob(jobId: string): void {
      for (const block of active) if (block.jobId === jobId) cancel(block);
    },
    cancelAll(): void {
      active.forEach(cancel);
    },
    [Symbol.iterator]: () => active.values(),
  };
}

function cancel(block: ActiveBlock): void {
  block.isCancelled = true;
  block.execution?.cancel();
}

/** Flops of the block done so far: its cost, in proportion to what its steps have done. */
export function flopsDone({ execution, flops }: ActiveBlock): bigint {
  if (execution === undefined || execution.flopsTotal === 0n) return 0n;
  return (flops * execution.flopsDone()) / execution.flopsTotal;
}
