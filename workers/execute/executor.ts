// Executes a plan over reserved memory: binds each step to addresses, hands its tasks to the threads, and has every
// product verified before the next step may overwrite its operands.

import { FrechetError } from '../../shared/errors.ts';
import { DTYPES, type Dtype } from '../../shared/math/dtype.ts';
import { joinBelow } from '../plan/collapse.ts';
import { type CombineStep, type Placed, type Plan, REGION, type Step } from '../plan/plan.ts';
import { chooseTiles, rowTiles } from '../plan/tiles.ts';
import { residualBound, type StepSize, underflowBound } from '../verify/bounds.ts';
import {
  type CombineTask,
  type Control,
  type Findings,
  type ImagedTerm,
  type ImageTask,
  type MatrixTerm,
  mapTerm,
  type ProductTerm,
  type ResidualTask,
  type StackView,
  type Task,
  type Term,
} from './task.ts';
import type { Threads } from './threads.ts';
import { tileCount } from './tile.ts';

const WORD_BYTES = 4;

export interface ExecutionReport {
  readonly computeSeconds: number;
  readonly verifySeconds: number;
  /** Largest residual relative to |A||B|1, and the largest bound it was compared with. */
  readonly maxError: number;
  readonly bound: number;
}

export interface ExecuteOptions {
  readonly memory: WebAssembly.Memory;
  readonly threads: Threads;
  /** Byte offsets of the region and of each input's slab. */
  readonly regionByteOffset: number;
  readonly slabByteOffsets: readonly number[];
  readonly reproducible: boolean;
  /** Seed of the ±1 vectors of Freivalds' test: unknown to whoever made the operands. */
  readonly seed: number;
}

export interface Execution {
  /** @throws verification-failed; Cancelled where cancel() was called. */
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
  const controlAt = (options.regionByteOffset + plan.control.byteOffset) / WORD_BYTES;
  words.fill(0, controlAt, controlAt + plan.control.words);
  const elementBytes = DTYPES[plan.dtype].bytes;
  const bind = binder(plan, options, elementBytes);
  let runs = 0;
  let flopsBefore = 0n;
  let busySeconds = 0;
  let current: { flops: bigint; tiles: number; next: number } | undefined;

  async function runTask(task: Task, tiles: number, flops = 0n): Promise<Findings> {
    runs += 1;
    const control: Control = { cancel: controlAt, next: controlAt + runs };
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

  /** Freivalds' test of one step. @returns the largest relative residual and the bound. */
  async function verifyStep(step: CombineStep): Promise<{ maxError: number; bound: number }> {
    const { proof, c, members, terms } = step;
    if (proof === undefined || c.cols === 0) return { maxError: 0, bound: 0 };
    const x = options.regionByteOffset + proof.x;
    const vector = new Float64Array(memory.buffer, x, 2 * c.cols);
    drawSigns(vector.subarray(0, c.cols), options.seed + runs);
    vector.fill(1, c.cols);
    const products: ImagedTerm[] = [];
    for (const [index, term] of terms.filter(isProduct).entries()) {
      products.push(await imageTerm(term, x, members, proof.images[index]!));
    }
    const size = stepSize(plan.dtype, step, products);
    const relativeBound = residualBound(size);
    const tiles = rowTiles(
      { rows: c.rows, cols: Math.max(c.cols, size.innerLength) },
      members,
      threads.count,
    );
    const task: ResidualTask = {
      kind: 'residual',
      dtype: plan.dtype,
      members,
      c: bind.view(c),
      x,
      products,
      matrices: terms.filter(isMatrix).map(term => bind.term(term) as MatrixTerm), // a matrix term stays one
      relativeBound,
      absoluteBound: underflowBound(size),
      ...tiles,
    };
    const found = await runTask(task, tileCount({ members, rows: c.rows, cols: 1 }, tiles));
    if (found.failures > 0) {
      const detail = `${found.failures} rows of a product differ from it by more than rounding`;
      throw new FrechetError('verification-failed', detail);
    }
    return { maxError: found.maxError, bound: relativeBound };
  }

  /** B·x and |B|·1 of one product. @param offsets of its images in the region */
  async function imageTerm(
    { alpha, a, b: factor }: ProductTerm<Placed>,
    x: number,
    stepMembers: number,
    offsets: { readonly y: number; readonly z: number },
  ): Promise<ImagedTerm> {
    const isShared = factor.memberStride === 0;
    const tall = joinBelow(factor, stepMembers);
    const b = tall ?? factor;
    const members = isShared || tall !== undefined ? 1 : stepMembers;
    const [y, z] = [options.regionByteOffset + offsets.y, options.regionByteOffset + offsets.z];
    const tiles = rowTiles(b, members, threads.count);
    const task: ImageTask = { kind: 'image', dtype: plan.dtype, members, b: bind.view(b), x, y, z, ...tiles };
    await runTask(task, tileCount({ members, rows: b.rows, cols: 1 }, tiles));
    const images = { y, z, memberStride: isShared ? 0 : factor.rows };
    return { alpha, a: bind.view(a), b: bind.view(factor), ...images };
  }

  async function run(): Promise<ExecutionReport> {
    bind.constants();
    let [computeSeconds, verifySeconds, maxError, bound] = [0, 0, 0, 0];
    for (const step of plan.steps) {
      const before = busySeconds;
      await runStep(step);
      const computed = busySeconds;
      computeSeconds += computed - before;
      if (step.kind !== 'combine') continue;
      const verified = await verifyStep(step);
      verifySeconds += busySeconds - computed;
      maxError = Math.max(maxError, verified.maxError);
      bound = Math.max(bound, verified.bound);
    }
    return { computeSeconds, verifySeconds, maxError, bound };
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

function stepSize(dtype: Dtype, { c, terms }: CombineStep, products: readonly ImagedTerm[]): StepSize {
  return {
    dtype,
    innerLength: Math.max(...products.map(({ a }) => a.cols)),
    terms: terms.length,
    cols: c.cols,
    alpha: Math.max(...products.map(({ alpha }) => Math.abs(alpha))),
  };
}

function isProduct(term: Term<Placed>): term is ProductTerm<Placed> {
  return term.kind === 'product';
}

function isMatrix(term: Term<Placed>): term is MatrixTerm<Placed> {
  return term.kind === 'matrix';
}

/** ±1 from a 32-bit xorshift (Marsaglia 2003): cheap, and any fixed wrong result meets a fresh vector. */
function drawSigns(x: Float64Array, seed: number): void {
  let state = seed | 1;
  for (let i = 0; i < x.length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    x[i] = state < 0 ? -1 : 1;
  }
}
