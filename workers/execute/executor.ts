// Executes a plan over reserved memory: binds each step to addresses, hands its tasks to the threads, and has every
// product verified before the next step may overwrite its operands.

import { errorCode, FrechetError } from '../../shared/errors.ts';
import { DTYPES } from '../../shared/math/dtype.ts';
import { type CombineStep, type Placed, type Plan, REGION, type Step } from '../plan/plan.ts';
import { chooseTiles } from '../plan/tiles.ts';
import { createErrorBounds, type ErrorBound } from './error-bounds.ts';
import { compareFingerprints } from './fingerprints.ts';
import { createProver, type ProvableStep, type StepProof } from './prove.ts';
import { createStreamLoads, type LoadStreamed } from './stream-loads.ts';
import {
  type CombineTask,
  type Control,
  type Findings,
  type GuardedRange,
  mapTerm,
  type StackView,
  type Task,
  type Term,
} from './task.ts';
import type { Threads } from './threads.ts';
import { tileCount } from './tile.ts';

const WORD_BYTES = 4;

export interface ExecutionReport {
  /** Waiting for what is streamed. */
  readonly loadSeconds: number;
  readonly computeSeconds: number;
  readonly verifySeconds: number;
  /** Largest residual relative to |A||B|1, and the largest bound it was compared with. */
  readonly maxError: number;
  readonly bound: number;
  /** Of the vectors of each step that was tested, in order. */
  readonly seeds: readonly number[];
  /** How far the result may be from the exact one; undefined where nothing finite can be said. */
  readonly errorBound: ErrorBound | undefined;
}

export interface ExecuteOptions {
  readonly memory: WebAssembly.Memory;
  readonly threads: Threads;
  /** Byte offsets of the region and of each input's slab. */
  readonly regionByteOffset: number;
  readonly slabByteOffsets: readonly number[];
  /** What may not change while the plan runs: the slabs, with fingerprints of when they were loaded. */
  readonly guards: readonly GuardedRange[];
  /** Fills a slab of the plan that is streamed, in the region. */
  readonly loadStreamed: LoadStreamed;
  readonly reproducible: boolean;
  /** Rounds of Freivalds' test. */
  readonly rounds: number;
  /** Asked for a seed of its ±1 vectors when a step has been computed: nobody who made the result could know it. */
  readonly drawSeed: () => number;
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

/** Thrown where a block was cancelled: not an error of anybody. */
export class Cancelled extends Error {
  override readonly name = 'Cancelled';
}

export function createExecution(plan: Plan, options: ExecuteOptions): Execution {
  const { memory, threads } = options;
  const words = new Int32Array(memory.buffer);
  const controlAt = (options.regionByteOffset + plan.control) / WORD_BYTES;
  Atomics.store(words, controlAt, 0);
  const elementBytes = DTYPES[plan.dtype].bytes;
  const bind = binder(plan, options, elementBytes);
  const probe = { dtype: plan.dtype, threads: threads.count, view: bind.view, runTask };
  const prove = createProver({ ...options, ...probe });
  const bounds = createErrorBounds(plan, probe);
  const streams = createStreamLoads(plan.streamed, options.loadStreamed);
  let flopsBefore = 0n;
  let busySeconds = 0;
  let current: { flops: bigint; tiles: number; next: number } | undefined;

  async function runTask(task: Task, tiles: number, flops = 0n): Promise<Findings> {
    // Every thread has left the run before.
    const control: Control = { cancel: controlAt, next: controlAt + 1 };
    Atomics.store(words, control.next, 0);
    current = { flops, tiles, next: control.next };
    const found = await threads.run(task, tiles, control);
    current = undefined;
    busySeconds += found.seconds;
    if (Atomics.load(words, controlAt) !== 0) throw new Cancelled('the block was cancelled');
    flopsBefore += flops;
    return found;
  }

  async function runStep(step: Step): Promise<void> {
    const { members } = step;
    if (step.kind === 'inner') {
      const [c, a, b] = [step.c, step.a, step.b].map(bind.view) as [StackView, StackView, StackView];
      await runTask({ kind: 'inner', dtype: plan.dtype, members, c, a, b }, members, step.flops);
      return;
    }
    const c = bind.view(step.c);
    const terms = step.terms.map(bind.term);
    const size = chooseTiles(c, members, terms, threads.count);
    const { reproducible } = options;
    const task: CombineTask = {
      kind: 'combine',
      dtype: plan.dtype,
      reproducible,
      members,
      c,
      terms,
      ...size,
    };
    await runTask(task, tileCount({ members, rows: c.rows, cols: c.cols }, size), step.flops);
  }

  /** @returns the seconds it took. @throws unavailable */
  async function requireSame(guards: readonly GuardedRange[]): Promise<number> {
    const { failures, seconds } = await compareFingerprints(runTask, guards);
    if (failures === 0) return seconds;
    throw new FrechetError('unavailable', 'operands have changed in the memory of this worker');
  }

  async function run(): Promise<ExecutionReport> {
    try {
      const report = await runSteps();
      return { ...report, verifySeconds: report.verifySeconds + (await requireSame(options.guards)) };
    } catch (error) {
      // A product may be wrong because its operands are: then another attempt would fail as well.
      if (errorCode(error) === 'verification-failed') await requireSame(options.guards);
      throw error;
    } finally {
      // Its memory is somebody else's as soon as this ends.
      await streams.settle();
    }
  }

  async function runSteps(): Promise<ExecutionReport> {
    bind.constants();
    const seeds: number[] = [];
    let [loadSeconds, computeSeconds, verifySeconds, maxError, bound] = [0, 0, 0, 0, 0];
    for (const [index, step] of plan.steps.entries()) {
      const waiting = performance.now();
      const guards = await streams.ready(index);
      loadSeconds += (performance.now() - waiting) / 1000;
      const before = busySeconds;
      await runStep(step);
      const computed = busySeconds;
      computeSeconds += computed - before;
      if (step.kind !== 'combine') continue;
      let proof: StepProof | undefined;
      if (isProvable(step)) {
        const seed = options.drawSeed();
        seeds.push(seed);
        proof = await prove(step, seed).finally(() => requireSame(guards));
        maxError = Math.max(maxError, proof.maxError);
        bound = Math.max(bound, proof.bound);
      }
      await bounds.follow(step, proof);
      verifySeconds += busySeconds - computed;
    }
    return {
      loadSeconds,
      computeSeconds,
      verifySeconds,
      maxError,
      bound,
      seeds,
      errorBound: bounds.ofResult(),
    };
  }

  return {
    run,
    runTask,
    cancel: () => void Atomics.store(words, controlAt, 1),
    flopsTotal: plan.flops,
    flopsDone() {
      if (current === undefined || current.tiles === 0) return flopsBefore;
      const taken = Math.min(Atomics.load(words, current.next), current.tiles);
      return flopsBefore + (current.flops * BigInt(taken)) / BigInt(current.tiles);
    },
  };
}

/** Gives placed views their addresses. */
function binder(plan: Plan, options: ExecuteOptions, elementBytes: number) {
  const view = ({ space, ...placed }: Placed): StackView => {
    const base = space === REGION ? options.regionByteOffset : options.slabByteOffsets[space]!;
    return { ...placed, offset: placed.offset + base / elementBytes };
  };
  return {
    view,
    term: (term: Term<Placed>) => mapTerm(term, view),
    /** Writes the plan's few numbers; the only elements the main thread ever touches. */
    constants(): void {
      const data = new DataView(options.memory.buffer, options.regionByteOffset, plan.regionBytes);
      for (const { offset, value } of plan.constants) {
        if (plan.dtype === 'float64') data.setFloat64(offset * elementBytes, value, true);
        else data.setFloat32(offset * elementBytes, value, true);
      }
    },
  };
}

/** Whether a step has products, and an element. */
function isProvable(step: CombineStep): step is ProvableStep {
  return step.proof !== undefined && step.c.rows > 0 && step.c.cols > 0;
}
