// The compute threads: a Piscina pool in which every thread holds its kernels over the one shared memory. A step is
// given to all threads at once; a running thread is never aborted, it sees the cancel word between tiles.

import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Piscina } from 'piscina';
import { assert } from '../../shared/assert.ts';
import { FrechetError } from '../../shared/errors.ts';
import type { KernelChoice } from '../kernels/select.ts';
import { scratchBytes } from '../kernels/source.ts';
import { type Arena, SLOT_ALIGNMENT } from '../memory/arena.ts';
import { VERIFIER_SCRATCH_BYTES } from '../verify/freivalds.ts';
import type { Bundle, BundleAnswer, PlanEnd, WholePlan } from './bundle.ts';
import { Cancelled, type ExecutionReport } from './run-plan.ts';
import {
  type Control,
  type Findings,
  mergeFindings,
  NO_FINDINGS,
  type Task,
  type ThreadTask,
} from './task.ts';
import type { ThreadSetup } from './thread.ts';

export interface Threads {
  readonly count: number;
  readonly busyCount: number;
  /** Runs all tiles of a task on as many threads as have work, and resolves when every one has stopped. */
  run(task: Task, tiles: number, control: Control): Promise<Findings>;
  /**
   * Where threads don't share tasks: runs a plan that streams nothing from its first step to its last on one of them.
   * @throws what runPlan does
   */
  runPlan?(plan: WholePlan): Promise<ExecutionReport>;
  close(): Promise<void>;
}

export interface ComputeThreads extends Threads {
  /**
   * For brief plans, which are independent of each other: what comes in one turn of the event loop reaches a thread as
   * one message, and each plan and task runs whole on one thread.
   */
  readonly bundled: Threads;
}

/** How often a pool that is to close asks threads that have not begun. */
const LOAD_POLL_MS = 5;
const LOAD_MS_MAX = 5_000;
const WORD_BYTES = 4;
const ALIGNMENT = SLOT_ALIGNMENT;

/**
 * Starts `count` threads. Their first tasks wait until their kernels are built.
 *
 * @param onFault hears that a thread died or a task threw, which none may: the memory it worked on can no longer be
 * trusted, so the process must end.
 */
export function startThreads(
  arena: Arena,
  choice: KernelChoice,
  count: number,
  onFault: (error: Error) => void,
): ComputeThreads {
  const setup = layOut(arena, choice, count);
  const pool = new Piscina({
    filename: fileURLToPath(new URL('./thread.js', import.meta.url)),
    minThreads: count,
    maxThreads: count,
    idleTimeout: Number.POSITIVE_INFINITY,
    concurrentTasksPerWorker: 1,
    maxQueue: Number.POSITIVE_INFINITY,
    workerData: setup,
  });
  let isClosing = false;
  let isBroken = false;
  let busyCount = 0;
  const fault = (error: Error) => {
    isBroken = true;
    if (!isClosing) onFault(error);
  };
  pool.on('error', fault);

  /** Until each has answered once: Node 20 aborts the process when a thread is ended while it loads its modules. */
  async function untilAnswered(): Promise<void> {
    const words = new Int32Array(arena.memory.buffer);
    const patience = new AbortController();
    const { signal } = patience;
    const askAll = async () => {
      while (Atomics.load(words, setup.answeredAt) < count && !isBroken && !signal.aborted) {
        await Promise.allSettled(Array.from({ length: count }, () => runBundle({ work: [] })));
        await sleep(LOAD_POLL_MS);
      }
    };
    // One that cannot load never answers.
    await Promise.race([askAll(), sleep(LOAD_MS_MAX, undefined, { signal }).catch(() => undefined)]);
    patience.abort();
  }

  async function runBundle(bundle: Bundle): Promise<BundleAnswer> {
    busyCount += 1;
    try {
      return (await pool.run(bundle)) as BundleAnswer; // what thread.ts answers
    } catch (error) {
      fault(error as Error); // Piscina rejects with nothing else
      throw error;
    } finally {
      busyCount -= 1;
    }
  }

  async function runShare(share: ThreadTask): Promise<Findings> {
    const [found] = await runBundle({ work: [share] });
    return found as Findings; // of a share
  }

  return {
    count,
    get busyCount() {
      return Math.min(busyCount, count);
    },
    async run(task, tiles, control) {
      const shares = Array.from({ length: Math.min(count, tiles) }, () => runShare({ task, control, tiles }));
      // The caller may free the memory as soon as this ends, so it ends when the last thread has stopped.
      await Promise.allSettled(shares);
      return (await Promise.all(shares)).reduce(mergeFindings, NO_FINDINGS);
    },
    bundled: bundleWork(count, runBundle),
    async close() {
      isClosing = true;
      await untilAnswered();
      await pool.close({ force: true });
    },
  };
}

interface Waiting {
  readonly work: Bundle['work'][number];
  readonly settle: (answer: Promise<Findings | PlanEnd>) => void;
}

/** @param count of the threads that share what comes at once */
function bundleWork(count: number, run: (bundle: Bundle) => Promise<BundleAnswer>): Threads {
  const waiting: Waiting[] = [];
  const flush = () => {
    const size = Math.ceil(waiting.length / count);
    for (const all = waiting.splice(0); all.length > 0; ) {
      const part = all.splice(0, size);
      const answers = run({ work: part.map(({ work }) => work) });
      for (const [at, { settle }] of part.entries()) settle(answers.then(each => each[at]!)); // one for each
    }
  };
  const add = (work: Waiting['work']) =>
    new Promise<Findings | PlanEnd>(settle => {
      if (waiting.length === 0) setImmediate(flush);
      waiting.push({ work, settle });
    });
  return {
    count: 1,
    get busyCount() {
      return waiting.length;
    },
    run: async (task, tiles, control) => (await add({ task, tiles, control })) as Findings, // of a share
    async runPlan(plan) {
      const end = (await add(plan)) as PlanEnd; // of a plan
      if ('report' in end) return end.report;
      throw 'fault' in end
        ? new FrechetError(end.fault.code, end.fault.detail)
        : new Cancelled('the block was cancelled');
    },
    close: async () => undefined,
  };
}

/** One slot for ever: the threads' counters, then each thread's scratch. */
function layOut(arena: Arena, choice: KernelChoice, count: number): ThreadSetup {
  const fastestBytes = alignUp(scratchBytes(choice.fastest.name));
  const reproducibleBytes = alignUp(scratchBytes(choice.reproducible.name));
  const stride = fastestBytes + reproducibleBytes + alignUp(VERIFIER_SCRATCH_BYTES);
  const slot = arena.allocate(ALIGNMENT + count * stride);
  assert(slot !== undefined, 'the arena has room for the scratch of its threads');
  const numberAt = slot.byteOffset / WORD_BYTES;
  const answeredAt = numberAt + 1;
  new Int32Array(arena.memory.buffer).fill(0, numberAt, answeredAt + 1);
  const scratch = { byteOffset: slot.byteOffset + ALIGNMENT, stride, fastestBytes, reproducibleBytes };
  return { memory: arena.memory, choice, count, numberAt, answeredAt, scratch };
}

function alignUp(bytes: number): number {
  return Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
}
