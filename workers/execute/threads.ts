// The compute threads: a Piscina pool in which every thread holds its kernels over the one shared memory. A step is
// given to all threads at once; a running thread is never aborted, it sees the cancel word between tiles.

import { fileURLToPath } from 'node:url';
import { Piscina } from 'piscina';
import { assert } from '../../shared/assert.ts';
import type { KernelChoice } from '../kernels/select.ts';
import { scratchBytes } from '../kernels/source.ts';
import { type Arena, SLOT_ALIGNMENT } from '../memory/arena.ts';
import { VERIFIER_SCRATCH_BYTES } from '../verify/freivalds.ts';
import {
  type Bundle,
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
  close(): Promise<void>;
}

export interface ComputeThreads extends Threads {
  /**
   * The same for small tasks that are independent of each other: those that come in one turn of the event loop reach a
   * thread as one message, and each runs whole on one thread.
   */
  readonly bundled: Threads;
}

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
  const pool = new Piscina({
    filename: fileURLToPath(new URL('./thread.js', import.meta.url)),
    minThreads: count,
    maxThreads: count,
    idleTimeout: Number.POSITIVE_INFINITY,
    concurrentTasksPerWorker: 1,
    maxQueue: Number.POSITIVE_INFINITY,
    workerData: layOut(arena, choice, count),
  });
  let isClosing = false;
  let busyCount = 0;
  const fault = (error: Error) => {
    if (!isClosing) onFault(error);
  };
  pool.on('error', fault);

  async function runBundle(bundle: Bundle): Promise<Findings[]> {
    busyCount += 1;
    try {
      return (await pool.run(bundle)) as Findings[]; // what thread.ts answers
    } catch (error) {
      fault(error as Error); // Piscina rejects with nothing else
      throw error;
    } finally {
      busyCount -= 1;
    }
  }

  async function runShare(share: ThreadTask): Promise<Findings> {
    const [found] = await runBundle({ shares: [share] });
    return found!; // one for each share
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
    bundled: bundleTasks(count, runBundle),
    close() {
      isClosing = true;
      return pool.close({ force: true });
    },
  };
}

interface Waiting {
  readonly share: ThreadTask;
  readonly settle: (found: Promise<Findings>) => void;
}

/** @param count of the threads that share what comes at once */
function bundleTasks(count: number, run: (bundle: Bundle) => Promise<Findings[]>): Threads {
  const waiting: Waiting[] = [];
  const flush = () => {
    const size = Math.ceil(waiting.length / count);
    for (const all = waiting.splice(0); all.length > 0; ) {
      const part = all.splice(0, size);
      const found = run({ shares: part.map(({ share }) => share) });
      for (const [at, { settle }] of part.entries()) settle(found.then(findings => findings[at]!)); // one for each
    }
  };
  return {
    count: 1,
    get busyCount() {
      return waiting.length;
    },
    run(task, tiles, control) {
      if (waiting.length === 0) setImmediate(flush);
      return new Promise(settle => {
        waiting.push({ share: { task, tiles, control }, settle });
      });
    },
    close: async () => undefined,
  };
}

/** One slot for ever: the threads' counter, then each thread's scratch. */
function layOut(arena: Arena, choice: KernelChoice, count: number): ThreadSetup {
  const fastestBytes = alignUp(scratchBytes(choice.fastest.name));
  const reproducibleBytes = alignUp(scratchBytes(choice.reproducible.name));
  const stride = fastestBytes + reproducibleBytes + alignUp(VERIFIER_SCRATCH_BYTES);
  const slot = arena.allocate(ALIGNMENT + count * stride);
  assert(slot !== undefined, 'the arena has room for the scratch of its threads');
  const numberAt = slot.byteOffset / WORD_BYTES;
  new Int32Array(arena.memory.buffer)[numberAt] = 0;
  const scratch = { byteOffset: slot.byteOffset + ALIGNMENT, stride, fastestBytes, reproducibleBytes };
  return { memory: arena.memory, choice, count, numberAt, scratch };
}

function alignUp(bytes: number): number {
  return Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
}
