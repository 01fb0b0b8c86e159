// How far a result may be from the exact one, carried through the steps of a plan as they run: what each step rounds, and
// what the errors of its operands come to in it. In the norm Σ|cᵢⱼ| over all elements and members: what rounding adds to
// a product is then γ·Σ(|A||B|)ᵢⱼ, which Freivalds' test has summed already and which is never more than γ‖A‖‖B‖; errors
// of transposes and slices need no care; blocks of a result add up. Higham, Accuracy and Stability (2nd ed.), §3.5.

import { DTYPES, type Dtype } from '../../shared/math/dtype.ts';
import { transposeView } from '../../shared/math/view.ts';
import { type CombineStep, type Placed, type Plan, REGION } from '../plan/plan.ts';
import { roundTo } from '../plan/terms.ts';
import { rowTiles } from '../plan/tiles.ts';
import { gamma } from '../verify/bounds.ts';
import type { FactorSizes, StepProof } from './prove.ts';
import type { Findings, KronFactor, KronTerm, MatrixTerm, ProductTerm, StackView, Task } from './task.ts';
import { tileCount } from './tile.ts';

/** Of a result: Σ|C − Ĉ| is at most `absolute`, and Σ|Ĉ| is `size`, which is not looked at where the result is exact. */
export interface ErrorBound {
  readonly absolute: number;
  readonly size: number;
}

interface ProbeOptions {
  readonly dtype: Dtype;
  readonly threads: number;
  readonly view: (placed: Placed) => StackView;
  readonly runTask: (task: Task, tiles: number) => Promise<Findings>;
}

/** What is known of a piece of the region: elements [start, stop). */
interface Entry extends ErrorBound {
  readonly start: number;
  readonly stop: number;
}

/** The bounds themselves are sums of fewer than 2³² numbers, each rounded: so much more than they say covers that. */
const SLACK = 1 + 2 ** -20;

/** Follows the steps of one execution, in their order. Operands as they are in memory, rounded or widened, are exact. */
export function createErrorBounds(plan: Plan, { dtype, threads, view, runTask }: ProbeOptions) {
  const { unitRoundoff, smallest } = DTYPES[dtype];
  const isFollowed = plan.steps.every(({ kind }) => kind === 'combine');
  /** Numbers of the expression are rounded where they lie in memory. */
  let entries: Entry[] = plan.constants.map(({ offset, value, error = 0 }) => {
    const absolute = error + Math.abs(value - roundTo(dtype, value));
    return { start: offset, stop: offset + 1, absolute, size: Math.abs(value) };
  });

  /** The error of what a view reads: everything that is known to lie there. */
  function errorOf(placed: Placed, members: number): number {
    if (placed.space !== REGION) return 0;
    const { start, stop } = extent(placed, members);
    const inside = entries.filter(entry => entry.start < stop && start < entry.stop);
    return inside.reduce((sum, { absolute }) => sum + absolute, 0);
  }

  /** Σ over members of what members share counts for each of them. */
  function errorForEach(placed: Placed, members: number): number {
    return errorOf(placed, members) * (placed.memberStride === 0 ? members : 1);
  }

  function note(c: Placed, members: number, bound: ErrorBound): void {
    const { start, stop } = extent(c, members);
    // What lay there before is overwritten.
    entries = entries.filter(entry => entry.start < start || stop < entry.stop);
    entries.push({ ...bound, start, stop });
  }

  async function measure(placed: Placed, members: number): Promise<Findings> {
    const x = view(placed);
    const own = placed.memberStride === 0 ? 1 : members;
    const tiles = rowTiles(x, own, threads);
    const task: Task = { kind: 'measure', dtype, members: own, x, ...tiles };
    const found = await runTask(task, tileCount({ members: own, rows: x.rows, cols: 1 }, tiles));
    return { ...found, size: own === 0 ? 0 : found.size * (members / own) };
  }

  async function productError(
    { alpha, a, b }: ProductTerm<Placed>,
    members: number,
    sizes: FactorSizes | undefined,
  ): Promise<number> {
    const [ofA, ofB] = [errorForEach(a, members), errorForEach(b, members)];
    if (ofA === 0 && ofB === 0) return 0;
    const row = sizes?.largestRow ?? (await measure(b, members)).largestRow;
    const column = sizes?.largestColumn ?? (await measure(transposed(a), members)).largestRow;
    const size = Math.abs(alpha);
    return times(size, ofA, row) + times(size, column, ofB) + times(size, ofA, ofB);
  }

  /** @param rounding of each element, relative; 0 where it is in the proof of the step */
  async function matrixError(
    { coefficient, scalar, x }: MatrixTerm<Placed>,
    members: number,
    rounding: number,
  ): Promise<number> {
    const ofX = errorForEach(x, members);
    const ofFactor = scalar === null ? 0 : errorOf(scalar, members);
    if (ofX === 0 && ofFactor === 0 && rounding === 0) return 0;
    const isCopied = ofFactor === 0 && rounding === 0;
    const size = isCopied ? 0 : (await measure(x, members)).size;
    const factor = scalar === null ? 1 : (await measure(scalar, members)).largestRow;
    const number = Math.abs(coefficient);
    // The number and the scalar are multiplied first, which may underflow by itself.
    const underflow = scalar === null ? 0 : times(Number.MIN_VALUE, size + ofX);
    const carried = times(number, factor, ofX) + times(number, ofFactor, size + ofX);
    return carried + times(number, rounding, factor, size) + underflow;
  }

  function factorError({ values }: KronFactor<Placed>, members: number): number {
    return values === null ? 0 : errorForEach(values, members);
  }

  /** The largest column of a factor, and the sum of all its columns. */
  async function factorSizes({ rows, cols, values }: KronFactor<Placed>, members: number) {
    if (values === null) return { largest: Math.min(rows, 1), total: cols * members };
    const { largestRow, size } = await measure(transposed(values), members);
    return { largest: largestRow, total: size };
  }

  /** Columns of a Kronecker product are products of columns: each of one factor meets each of the other once. */
  async function kronError(
    { coefficient, left, right }: KronTerm<Placed>,
    columns: number,
    members: number,
    rounding: number,
  ): Promise<number> {
    const [ofLeft, ofRight] = [factorError(left, members), factorError(right, members)];
    if (ofLeft === 0 && ofRight === 0 && rounding === 0) return 0;
    const [l, r] = [await factorSizes(left, members), await factorSizes(right, members)];
    const number = Math.abs(coefficient);
    const carried =
      times(number, ofLeft, r.total) + times(number, l.total, ofRight) + times(number, ofLeft, ofRight);
    // The number and an element of the left factor are multiplied first, which may underflow by itself.
    const underflow = times(Number.MIN_VALUE, left.rows * columns, r.largest);
    return carried + times(number, rounding, columns, l.largest, r.largest) + underflow;
  }

  async function termErrors(step: CombineStep, proof: StepProof | undefined): Promise<number> {
    const { members, terms } = step;
    // In a sum without products each element is a product of three numbers, and a sum of as many as there are terms.
    const rounding = proof !== undefined || isExact(step) ? 0 : gamma(3 + terms.length, unitRoundoff);
    let [total, product] = [0, 0];
    for (const term of terms) {
      if (term.kind === 'product') total += await productError(term, members, proof?.factors[product++]);
      else if (term.kind === 'matrix') total += await matrixError(term, members, rounding);
      else total += await kronError(term, step.c.cols * members, members, rounding);
    }
    return total;
  }

  return {
    /** @param proof of a step with products */
    async follow(step: CombineStep, proof: StepProof | undefined): Promise<void> {
      if (!isFollowed) return;
      const { c, members } = step;
      const elements = c.rows * c.cols * members;
      const underflow = proof?.underflow ?? (isExact(step) ? 0 : smallest * elements * 3 * step.terms.length);
      const own = proof === undefined ? 0 : proof.rounding * proof.magnitude;
      const absolute = SLACK * ((await termErrors(step, proof)) + own + underflow);
      const isMeasured = proof === undefined && absolute > 0;
      const size = proof?.size ?? (isMeasured ? (await measure(c, members)).size : 0);
      note(c, members, { absolute, size });
    },

    /** Undefined where an operand or a result is not finite, and for a plan of inner products, which are no matrix. */
    ofResult(): ErrorBound | undefined {
      if (!isFollowed) return undefined;
      const elementBytes = DTYPES[dtype].bytes;
      const start = plan.result.byteOffset / elementBytes;
      const stop = start + plan.outputBytes[0]! / elementBytes; // a plan has an output
      const inside = entries.filter(entry => start <= entry.start && entry.stop <= stop);
      const absolute = inside.reduce((sum, entry) => sum + entry.absolute, 0);
      const size = inside.reduce((sum, entry) => sum + entry.size, 0);
      return Number.isFinite(absolute) && Number.isFinite(size) ? { absolute, size } : undefined;
    },
  };
}

/**
 * A product of magnitudes, at least: it neither overflows nor underflows on its way to what it is, and what is smaller
 * than any number is the smallest.
 */
function times(...factors: readonly number[]): number {
  if (factors.includes(0)) return 0;
  const rest = [...factors].sort((a, b) => a - b);
  let product = 1;
  while (rest.length > 0) product *= product < 1 ? rest.pop()! : rest.shift()!; // there is one left
  return Math.max(product, Number.MIN_VALUE);
}

/** Copies, changes of sign and columns of one matrix among zeros lose nothing. */
function isExact({ terms }: CombineStep): boolean {
  if (terms.length > 1) return false;
  return terms.every(term => {
    if (term.kind === 'product' || Math.abs(term.coefficient) !== 1) return false;
    return term.kind === 'matrix'
      ? term.scalar === null
      : term.left.values === null || term.right.values === null;
  });
}

function extent({ offset, rows, cols, rowStride, colStride, memberStride }: Placed, members: number) {
  if (rows === 0 || cols === 0) return { start: offset, stop: offset };
  const last = (rows - 1) * rowStride + (cols - 1) * colStride + (members - 1) * memberStride;
  return { start: offset, stop: offset + last + 1 };
}

function transposed(placed: Placed): Placed {
  return { ...placed, ...transposeView(placed) };
}
