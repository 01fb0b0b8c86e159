// Freivalds' test of a step that has just been computed, while its operands are still there: by rows and by columns,
// in as many rounds as are asked for. The vectors are drawn now, so that no result can have been made to fit them.

import { FrechetError } from '../../shared/errors.ts';
import type { Dtype } from '../../shared/math/dtype.ts';
import { transposeView } from '../../shared/math/view.ts';
import { joinBelow } from '../plan/collapse.ts';
import type { CombineStep, Placed, ProofSpace } from '../plan/plan.ts';
import { rowTiles } from '../plan/tiles.ts';
import { residualBound, roundingBound, type StepSize, underflowBound } from '../verify/bounds.ts';
import { drawSigns } from './random.ts';
import {
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
import { tileCount } from './tile.ts';

export interface ProverOptions {
  readonly memory: WebAssembly.Memory;
  readonly dtype: Dtype;
  readonly threads: number;
  readonly rounds: number;
  readonly regionByteOffset: number;
  /** Gives a view its address. */
  readonly view: (placed: Placed) => StackView;
  readonly runTask: (task: Task, tiles: number) => Promise<Findings>;
}

/** What was found of a step that passed. */
export interface StepProof {
  /** Largest residual relative to |A||B|1, and the largest bound it was compared with. */
  readonly maxError: number;
  readonly bound: number;
  /** Sums over all elements and members: of |α||A||B| + |c||X|, and of |C|. */
  readonly magnitude: number;
  readonly size: number;
  /** How much of `magnitude` the rounding of C may be, and what underflow may have added to all elements. */
  readonly rounding: number;
  readonly underflow: number;
  /** Of each product, where rows were tested the largest row of |B|, and where columns were the largest column of |A|. */
  readonly factors: readonly FactorSizes[];
}

export interface FactorSizes {
  readonly largestRow: number | undefined;
  readonly largestColumn: number | undefined;
}

export type ProvableStep = CombineStep & { readonly proof: ProofSpace };

/** A step as it is tested: itself by rows, its transpose by columns. */
type Side = Pick<CombineStep, 'members' | 'c' | 'terms'>;

/** @returns the test of a step. It throws verification-failed. @param seed of all its vectors */
export function createProver(
  options: ProverOptions,
): (step: ProvableStep, seed: number) => Promise<StepProof> {
  const { dtype, threads, view, runTask } = options;

  async function testSide(side: Side, { x: at, images }: ProofSpace, seed: number) {
    const { c, members, terms } = side;
    const x = options.regionByteOffset + at;
    const vector = new Float64Array(options.memory.buffer, x, 2 * c.cols);
    drawSigns(vector.subarray(0, c.cols), seed);
    vector.fill(1, c.cols);
    const products: ImagedTerm[] = [];
    const largestRows: number[] = [];
    for (const [index, term] of terms.filter(isProduct).entries()) {
      const { imaged, largestRow } = await imageTerm(term, x, members, images[index]!);
      products.push(imaged);
      largestRows.push(largestRow);
    }
    const size = stepSize(dtype, side);
    const bound = residualBound(size);
    const target = view(c);
    const tiles = rowTiles(target, members, threads);
    const task: ResidualTask = {
      kind: 'residual',
      dtype,
      members,
      c: target,
      x,
      products,
      matrices: terms.filter(isMatrix).map(term => mapTerm(term, view) as MatrixTerm), // a matrix term stays one
      relativeBound: bound,
      absoluteBound: underflowBound(size),
      ...tiles,
    };
    const found = await runTask(task, tileCount({ members, rows: c.rows, cols: 1 }, tiles));
    if (found.failures > 0) throw failure(found.failures, side);
    const underflow = underflowBound(size) * c.rows * members;
    return { ...found, bound, largestRows, rounding: roundingBound(size), underflow };
  }

  /** B·x and |B|·1 of one product. @param offsets of its images in the region */
  async function imageTerm(
    { alpha, a, b: factor }: ProductTerm<Placed>,
    x: number,
    stepMembers: number,
    offsets: { readonly y: number; readonly z: number },
  ): Promise<{ imaged: ImagedTerm; largestRow: number }> {
    const isShared = factor.memberStride === 0;
    const tall = joinBelow(factor, stepMembers);
    const b = tall ?? factor;
    const members = isShared || tall !== undefined ? 1 : stepMembers;
    const [y, z] = [options.regionByteOffset + offsets.y, options.regionByteOffset + offsets.z];
    const tiles = rowTiles(b, members, threads);
    const task: ImageTask = { kind: 'image', dtype, members, b: view(b), x, y, z, ...tiles };
    const { largestRow } = await runTask(task, tileCount({ members, rows: b.rows, cols: 1 }, tiles));
    const images = { y, z, memberStride: isShared ? 0 : factor.rows };
    return { imaged: { alpha, a: view(a), b: view(factor), ...images }, largestRow };
  }

  return async (step, seed) => {
    const { proof } = step;
    const sides = sidesOf(step);
    const found = [];
    for (let round = 0; round < options.rounds; round++)
      for (const [index, side] of sides.entries())
        found.push({ ...(await testSide(side, proof, seed + 2 * round + index)), isRows: side === step });
    const first = found[0]!; // there is a round, and a side
    const rows = found.find(({ isRows }) => isRows);
    const columns = found.find(({ isRows }) => !isRows);
    return {
      maxError: Math.max(...found.map(({ maxError }) => maxError)),
      bound: Math.max(...found.map(({ bound }) => bound)),
      magnitude: first.magnitude,
      size: first.size,
      rounding: first.rounding,
      underflow: first.underflow,
      factors: first.largestRows.map((_, index) => ({
        largestRow: rows?.largestRows[index],
        largestColumn: columns?.largestRows[index],
      })),
    };
  };
}

/**
 * By rows, what is wrong in one element of a row is found for certain, and by columns, what is wrong in one of a
 * column; so whatever a single fault of an operand, a packed panel or the result did is. Where C is a row or a column,
 * the lines across it are its elements, and one side is enough.
 */
function sidesOf(step: ProvableStep): Side[] {
  const columns = { members: step.members, c: transposed(step.c), terms: step.terms.map(transposedTerm) };
  if (step.c.cols === 1) return [step];
  return step.c.rows === 1 ? [columns] : [step, columns];
}

/** Of Cᵀ = Σ αBᵀAᵀ + Σ cXᵀ. */
function transposedTerm(term: Term<Placed>): Term<Placed> {
  switch (term.kind) {
    case 'product':
      return { ...term, a: transposed(term.b), b: transposed(term.a) };
    case 'matrix':
      return { ...term, x: transposed(term.x) };
    case 'kron':
      return term; // a step with structure has no product to test
  }
}

function transposed(view: Placed): Placed {
  return { ...view, ...transposeView(view) };
}

function stepSize(dtype: Dtype, { c, terms }: Side): StepSize {
  const products = terms.filter(isProduct);
  return {
    dtype,
    innerLength: Math.max(...products.map(({ a }) => a.cols)),
    terms: terms.length,
    cols: c.cols,
    alpha: Math.max(...products.map(({ alpha }) => Math.abs(alpha))),
  };
}

function failure(count: number, { c }: Side): FrechetError {
  const lines = c.rowStride < c.colStride ? 'columns' : 'rows';
  return new FrechetError(
    'verification-failed',
    `${count} ${lines} of a product differ from it by more than rounding`,
  );
}

function isProduct(term: Term<Placed>): term is ProductTerm<Placed> {
  return term.kind === 'product';
}

function isMatrix(term: Term<Placed>): term is MatrixTerm<Placed> {
  return term.kind === 'matrix';
}
