// Executes a plan over reserved memory on the threads: under one cancel word, and telling how far it is.

import type { Plan } from '../plan/plan.ts';
import { Cancelled, type ExecutionReport, type RunPlanOptions, runPlan } from './run-plan.ts';
import type { Control, Findings, Task } from './task.ts';
import type { Threads } from './threads.ts';

const WORD_BYTES = 4;

export interface ExecuteOptions extends Omit<RunPlanOptions, 'threads' | 'runTask'> {
  readonly threads: Threads;
}

export interface Execution {
  /** @throws verification-failed; unavailable where operands changed in memory; Cancelled where cancel() was called; what loading does. */
  run(): Promise<ExecutionReport>;
  /** Runs one more task over the block's memory, under the same cancel word. */
  runTask(task: Task, tiles: number): Promise<Findings>;
  /** Only while something runs: later the word it sets is another block's memory. */
  cancel(): void;
  readonly flopsTotal: bigint;
  /** Flops of finished tiles, so far. */
  flopsDone(): bigint;
}

export function createExecution(plan: Plan, options: ExecuteOptions): Execution {
  const { memory, threads, regionByteOffset, slabByteOffsets, guards, reproducible, rounds } = options;
  const words = new Int32Array(memory.buffer);
  const controlAt = (regionByteOffset + plan.control) / WORD_BYTES;
  const control: Control = { cancel: controlAt, next: controlAt + 1 };
  Atomics.store(words, control.cancel, 0);
  let flopsBefore = 0n;
  let current: { flops: bigint; tiles: number } | undefined;

  async function runTask(task: Task, tiles: number, flops = 0n): Promise<Findings> {
    // Every thread has left the run before.
    Atomics.store(words, control.next, 0);
    current = { flops, tiles };
    const found = await threads.run(task, tiles, control);
    current = undefined;
    if (Atomics.load(words, control.cancel) !== 0) throw new Cancelled('the block was cancelled');
    flopsBefore += flops;
    return found;
  }

  return {
    async run() {
      // What is streamed is loaded here, while threads compute.
      if (threads.runPlan === undefined || plan.streamed.length > 0)
        return runPlan(plan, { ...options, threads: threads.count, runTask });
      const place = { regionByteOffset, slabByteOffsets, guards, reproducible, rounds };
      const report = await threads.runPlan({ plan, place, control });
      flopsBefore = plan.flops;
      return report;
    },
    runTask,
    cancel: () => void Atomics.store(words, control.cancel, 1),
    flopsTotal: plan.flops,
    flopsDone() {
      if (current === undefined || current.tiles === 0) return flopsBefore;
      const taken = Math.min(Atomics.load(words, control.next), current.tiles);
      return flopsBefore + (current.flops * BigInt(taken)) / BigInt(current.tiles);
    },
  };
}
