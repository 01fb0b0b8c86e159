// A block of a job beside its kernel: the same product through plan, tiles and threads, and then verified. What the
// difference is, is what everything around the kernel costs.

import { derive } from '../../shared/math/derive.ts';
import { DTYPES, type Dtype, floatArray } from '../../shared/math/dtype.ts';
import { inputsOf } from '../../shared/math/graph.ts';
import { shape } from '../../shared/math/shape.ts';
import { createExecution } from '../../workers/execute/executor.ts';
import { fingerprintSpaceBytes, takeFingerprints } from '../../workers/execute/fingerprints.ts';
import { startThreads, type Threads } from '../../workers/execute/threads.ts';
import { selectKernel } from '../../workers/kernels/select.ts';
import { type Arena, createArena } from '../../workers/memory/arena.ts';
import { lowerProgram } from '../../workers/plan/lower.ts';
import { graphOf } from '../shared/math/expressions.ts';
import { seededRandom } from '../workers/kernels/fixture.ts';
import { libraryDirectories } from '../workers/kernels/sources.ts';
import type { Contender } from './measure.ts';

const THREAD_BYTES = 8 * 2 ** 20;

/** Blocks over an arena of their own, with the kernel that a worker would choose. */
export class Blocks {
  readonly #arena: Arena;
  readonly #threads: Threads;

  /** For products of square matrices of up to `size`. */
  constructor(size: number, threads: number) {
    this.#arena = createArena(7 * 8 * size ** 2 + (threads + 1) * THREAD_BYTES);
    const choice = selectKernel('auto', libraryDirectories());
    this.#threads = startThreads(this.#arena, choice, threads, error => {
      throw error;
    });
  }

  /**
   * A·H and Aᵀ·G, timed by their compute phase, and the verification of the former: in flops of the product that it
   * verifies, so that a rate 33 times the product's is 3 % of its time. The contenders hold memory until `free`.
   */
  contend(dtype: Dtype, size: number): { contenders: Contender[]; free(): void } {
    const jvp = this.#prepare(dtype, size, 'jvp');
    const vjp = this.#prepare(dtype, size, 'vjp');
    const threads = this.#threads.count;
    const compute = (block: typeof jvp) => async () => (await block.run()).computeSeconds;
    const contenders = [
      { name: 'block, A·H', threads, run: compute(jvp) },
      { name: "block, A'·G", threads, run: compute(vjp) },
      { name: 'verification', threads, run: async () => (await jvp.run()).verifySeconds },
    ];
    return {
      contenders,
      free() {
        jvp.free();
        vjp.free();
      },
    };
  }

  close(): Promise<void> {
    return this.#threads.close();
  }

  #prepare(dtype: Dtype, size: number, operation: 'jvp' | 'vjp') {
    const square = shape(size, size);
    const value = graphOf(
      'A*W',
      new Map([
        ['A', square],
        ['W', square],
      ]),
    );
    const root = derive(value, operation, 'W', 1);
    const plan = lowerProgram({
      outputs: [root],
      order: 'C',
      dtype,
      members: [0, 1],
      inputs: new Map(
        inputsOf([root]).map(({ params }) => [params.name, { order: 'C', dtype, stacked: false }]),
      ),
      chunkBytes: 4 * 2 ** 20,
    });
    const take = (bytes: number) => {
      const slot = this.#arena.allocate(bytes);
      if (slot === undefined) throw new Error('the arena of the benchmark is too small');
      return slot;
    };
    const region = take(plan.regionBytes);
    const slabs = plan.inputs.map(({ elements }) => take(elements * DTYPES[dtype].bytes));
    const random = seededRandom(1);
    for (const [index, slab] of slabs.entries()) {
      const data = floatArray(
        dtype,
        this.#arena.memory.buffer,
        slab.byteOffset,
        plan.inputs[index]!.elements,
      );
      for (let e = 0; e < data.length; e++) data[e] = random();
    }
    const guards = slabs.map(({ byteOffset, byteLength }) => {
      return { byteOffset, byteLength, prints: take(fingerprintSpaceBytes(byteLength)).byteOffset };
    });
    const words = take(64);
    new Uint8Array(this.#arena.memory.buffer, words.byteOffset, words.byteLength).fill(0);
    const word = words.byteOffset / 4;
    const ready = Promise.all(
      guards.map((guard, index) => {
        const control = { cancel: word, next: word + 1 + index };
        return takeFingerprints((task, tiles) => this.#threads.run(task, tiles, control), guard);
      }),
    );
    return {
      run: async () => {
        await ready;
        return createExecution(plan, {
          memory: this.#arena.memory,
          threads: this.#threads,
          regionByteOffset: region.byteOffset,
          slabByteOffsets: slabs.map(slab => slab.byteOffset),
          reproducible: false,
          guards,
          loadStreamed: async () => [],
          rounds: 1,
          drawSeed: () => 1,
        }).run();
      },
      free: () => {
        for (const slot of [region, ...slabs]) this.#arena.free(slot);
      },
    };
  }
}
