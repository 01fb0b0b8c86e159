// A plan from its first step to its last: each step's tasks, then the test of its products before the next step may
// overwrite their operands. Where the tasks run is the caller's: on all threads, or right here in one of them.

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
  type Findings,
  type GuardedRange,
  mapTerm,
  type StackView,
  type Task,
  type Term,
} from './task.ts';
import { tileCount } from './tile.ts';

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

/** Where a plan's spaces lie, and how it is to be run; all that a thread needs to run it alone. */
export interface PlanPlace {
  /** Byte offsets of the region and of each input's slab. */
  readonly regionByteOffset: number;
  readonly slabByteOffsets: readonly number[];
  /** What may not change while the plan runs: the slabs, with fingerprints of when they were loaded. */
  readonly guards: readonly GuardedRange[];
  readonly reproducible: boolean;
  /** Rounds of Freivalds' test. */
  readonly rounds: number;
}

export interface RunPlanOptions extends PlanPlace {
  readonly memory: WebAssembly.Memory;
  /** How many threads share the tiles of a task. */
  readonly threads: number;
  /** Fills a slab of the plan that is streamed, in the region. */
  readonly loadStreamed: LoadStreamed;
  /** Asked for a seed of its ±1 vectors when a step has been computed: nobody who made the result could know it. */
  readonly drawSeed: () => number;
  /** Runs a task to its end. @throws Cancelled */
  readonly runTask: (task: Task, tiles: number, flops?: bigint) => Promise<Findings>;
}

/** Thrown where a block was cancelled: not an error of anybody. */
export class Cancelled extends Error {
  override readonly name = 'Cancelled';
}

/**
 * Runs the plan; its result lies in the region then.
 *
 * @throws verification-failed; unavailable where operands changed in memory; Cancelled; what loading does.
 */
export async function runPlan(plan: Plan, options: RunPlanOptions): Promise<ExecutionReport> {
  const elementBytes = DTYPES[plan.dtype].bytes;
  const bind = binder(plan, options, elementBytes);
  let busySeconds = 0;
  const runTask = async (task: Task, tiles: number, flops?: bigint) => {
    const found = await options.runTask(task, tiles, flops);
    busySeconds += found.seconds;
    return found;
  };
  const probe = { dtype: plan.dtype, threads: options.threads, view: bind.view, runTask };
  const prove = createProver({ ...options, ...probe });
  const bounds = createErrorBounds(plan, probe);
  const streams = createStreamLoads(plan.streamed, options.loadStreamed);

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

  async function runStep(step: Step): Promise<void> {
    const { members } = step;
    if (step.kind === 'inner') {
      const [c, a, b] = [step.c, step.a, step.b].map(bind.view) as [StackView, StackView, StackView];
      await runTask({ kind: 'inner', dtype: plan.dtype, members, c, a, b }, members, step.flops);
      return;
    }
    const c = bind.view(step.c);
    const terms = step.terms.map(bind.term);
    const size = chooseTiles(c, members, terms, options.threads);
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
}

/** Gives placed views their addresses. */
function binder(plan: Plan, options: RunPlanOptions, elementBytes: number) {
  const view = ({ space, ...placed }: Placed): StackView => {
    const base = space === REGION ? options.regionByteOffset : options.slabByteOffsets[space]!;
    return { ...placed, offset: placed.offset + base / elementBytes };
  };
  return {
    view,
    term: (term: Term<Placed>) => mapTerm(term, view),
    /** Writes the plan's few numbers; the main thread touches no other elements. */
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
