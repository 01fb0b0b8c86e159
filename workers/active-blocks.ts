// The blocks a worker is busy with, so that a cancellation finds them and their progress can be told. A block may be
// cancelled before it computes (waiting for memory, loading): its signal is heard wherever it is.

import type { Execution } from './execute/executor.ts';
import { Cancelled } from './execute/run-plan.ts';

export interface ActiveBlock {
  readonly tenant: string;
  readonly jobId: string;
  readonly block: number;
  readonly flops: bigint;
  /** Aborted, with Cancelled as its reason, where nobody wants the block any more, or wants it elsewhere. */
  readonly signal: AbortSignal;
  /** Undefined until it computes. */
  execution: Execution | undefined;
}

export type ActiveBlocks = ReturnType<typeof createActiveBlocks>;

export function createActiveBlocks() {
  const active = new Map<ActiveBlock, AbortController>();

  function cancel(isWanted: (block: ActiveBlock) => boolean): void {
    for (const [block, controller] of active)
      if (!isWanted(block)) controller.abort(new Cancelled('the block was cancelled'));
  }

  return {
    begin(of: Pick<ActiveBlock, 'tenant' | 'jobId' | 'block' | 'flops'>): ActiveBlock {
      const controller = new AbortController();
      const block = { ...of, signal: controller.signal, execution: undefined };
      active.set(block, controller);
      return block;
    },
    end(block: ActiveBlock): void {
      active.delete(block);
    },
    cancelJob: (jobId: string) => cancel(block => block.jobId !== jobId),
    cancelAll: () => cancel(() => false),
    [Symbol.iterator]: () => active.keys(),
  };
}

/** Flops of the block done so far: its cost, in proportion to what its steps have done. */
export function flopsDone({ execution, flops }: ActiveBlock): bigint {
  if (execution === undefined || execution.flopsTotal === 0n) return 0n;
  return (flops * execution.flopsDone()) / execution.flopsTotal;
}
