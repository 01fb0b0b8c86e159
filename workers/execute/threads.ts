// The compute threads: a Piscina pool in which every thread holds its kernels over the one shared memory. A step is
// given to all threads at once; a running thread is never aborted, it sees the cancel word between tiles.

import { fileURLToPath } from 'node:url';
import { Piscina } from 'piscina';
import { assert } from '../../shared/assert.ts';
import type { KernelChoice } from '../kernels/select.ts';
import { scratchBytes } from '../kernels/source.ts';
import type { Arena } from '../memory/arena.ts';
import { type Control, type Findings, NO_FINDINGS, type Task, type ThreadTask } from './task.ts';
import type { ThreadSetup } from './thread.ts';

export interface Threads {
  readonly count: number;
  readonly busyCount: number;
  /** Runs all tiles of a task on as many threads as have work, and resolves when every one has stopped. */
  run(task: Task, tiles: number, control: Control): Promise<Findings>;
  close(): Promise<void>;
}

const WORD_BYTES = 4;
const ALIGNMENT = 64;

/**
 * Starts `count` threads. Their first tasks wait until their kernels are built.
 *
 * @param onFault hears that a thread died: the worker's memory can no longer be trusted, so its process must end.
 */
export async function startThreads(
  arena: Arena,
  choice: KernelChoice,
  count: number,
  onFault: (error: Error) => void,
): Promise<Threads> {
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
  pool.on('error', onFault);
  let busyCount = 0;

  async function runShare(share: ThreadTask): Promise<Findings> {
    busyCount += 1;
    try {
      return (await pool.run(share)) as Findings;
    } finally {
      busyCount -= 1;
    }
  }

  return {
    count,
    get busyCount() {
      return Math.min(busyCount, count);
    },
    async run(task, tiles, control) {
      const shares = Math.min(count, tiles);
      const found = await Promise.all(
        Array.from({ length: shares }, () => runShare({ task, control, tiles })),
      );
      return found.reduce(
        (all, one) => ({
          maxError: Math.max(all.maxError, one.maxError),
          failures: all.failures + one.failures,
        }),
        NO_FINDINGS,
      );
    },
    close: () => pool.close({ force: true }),
  };
}

/** One slot for ever: the threads' counter, then each thread's scratch for its two kernels. */
function layOut(arena: Arena, choice: KernelChoice, count: number): ThreadSetup {
  const fastestBytes = alignUp(scratchBytes(choice.fastest.name));
  const reproducibleBytes = alignUp(scratchBytes(choice.reproducible.name));
  const stride = fastestBytes + reproducibleBytes;
  const slot = arena.allocate(ALIGNMENT + count * stride);
  assert(slot !== undefined, 'the arena has room for the scratch of its threads');
  new Int32Array(arena.memory.buffer)[slot.byteOffset / WORD_BYTES] = 0;
  return {
    memory: arena.memory,
    choice,
    numberAt: slot.byteOffset / WORD_BYTES,
    scratchByteOffset: slot.byteOffset + ALIGNMENT,
    scratchByteStride: stride,
    fastestBytes,
    reproducibleBytes,
  };
}

function alignUp(bytes: number): number {
  return Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
}
