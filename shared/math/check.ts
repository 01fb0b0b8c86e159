// The definition of the derivative, tested with numbers: ‖F(W+tH) − F(W) − t·dF(H)‖ = o(t‖H‖), and
// ⟨dF(H), G⟩ = ⟨H, dF*(G)⟩. A graph of 1×1 outputs, and the verdict from their values. What is rounding and what
// is an error follows from the bounds of rounding.ts, which know the norms of the inputs; nothing here is tuned.

import { assert } from '../assert.ts';
import { FrechetError } from '../errors.ts';
import { roundingConstant } from './bound.ts';
import { cotangentOf, directionOf, isLinearIn, operandNamed } from './derive.ts';
import { DTYPES, type Dtype } from './dtype.ts';
import { build, type InputNode, inputsOf, type Node, placeOf, rebuild, rewrite } from './graph.ts';
import { jvp } from './jvp.ts';
import { DIFFERENTIABLE, type DifferentiableTable } from './primitives/index.ts';
import { boundOf, roundingBounds } from './rounding.ts';
import { elementCount } from './shape.ts';
import { simplify } from './simplify.ts';
import { vjp } from './vjp.ts';

/** The t of F(W + tH): 0.01·2⁻ⁱ, i = 0…5. */
export const CHECK_STEPS: readonly number[] = [0, 1, 2, 3, 4, 5].map(i => 0.01 * 2 ** -i);

/** The remainder of a twice differentiable F is O(t²), so its rate is 2 but for what t³ adds. */
export const CHECK_RATE_MIN = 1.9;

// A remainder tells a rate only where rounding cannot have moved it much: with errors of at most a 64th of both
// remainders, a slope of their logarithms is off by at most (1/64 + 1/64)/ln 2 < 0.05, half of what 1.9 allows.
const RESOLVED_BOUNDS = 64;

export interface CheckGraph {
  readonly linear: boolean;
  /** To be evaluated, all 1×1. assessCheck wants their values in this order. */
  readonly outputs: readonly Node[];
  /** The inputs whose squared norms are the last outputs. */
  readonly inputs: readonly InputNode[];
  /** F(W+tH) − F(W) − t·dF(H) for each step; not to be evaluated for themselves. */
  readonly residuals: readonly Node[];
}

export interface CheckReport {
  readonly passed: boolean;
  readonly linear: boolean;
  readonly taylor: {
    readonly steps: readonly number[];
    readonly remainders: readonly number[];
    /** The slope of log remainder over log t at the smallest steps it can be told at; null where it cannot. */
    readonly rate: number | null;
    /** What rounding alone can make of a remainder. */
    readonly bound: number;
  };
  readonly adjoint: {
    readonly forward: number;
    readonly reverse: number;
    /** |forward − reverse|, over the largest ⟨dF(H), G⟩ that factors of these norms can have. */
    readonly relativeDefect: number;
    readonly bound: number;
  };
}

/**
 * The check of F's derivative with respect to an operand, with directionOf(f, wrt) and cotangentOf(f) among its
 * inputs. `table` replaces the rules, for tests that a wrong one is found out.
 * @throws unknown-symbol where f has no operand `wrt`
 */
export function checkGraph(f: Node, wrt: string, table: DifferentiableTable = DIFFERENTIABLE): CheckGraph {
  const operand = operandNamed(f, wrt);
  const direction = directionOf(f, wrt);
  const cotangent = cotangentOf(f);
  const differential = jvp(f, new Map([[operand, direction]]), table);
  const adjoint = vjp(f, cotangent, operand, table);
  assert(
    differential !== undefined && adjoint !== undefined,
    'F depends on the operand, since it occurs in F',
  );

  const residuals = CHECK_STEPS.map(t => {
    const step = build.scale(build.constant(t), direction);
    const moved = substitute(f, operand, build.add(operand, step));
    const predicted = build.scale(build.constant(t), differential);
    return build.add(build.add(moved, build.negate(f)), build.negate(predicted));
  });
  const products = [build.inner(differential, cotangent), build.inner(direction, adjoint)];
  const inputs = inputsOf([...residuals, ...products]);
  const outputs = [...residuals.map(squaredNorm), ...products, ...inputs.map(squaredNorm)];
  const simplified = simplify([...outputs, ...residuals]);
  return {
    linear: isLinearIn(f, wrt),
    outputs: simplified.slice(0, outputs.length),
    inputs,
    residuals: simplified.slice(outputs.length),
  };
}

function squaredNorm(node: Node): Node {
  return build.inner(node, node);
}

function substitute(f: Node, replaced: Node, by: Node): Node {
  return placeOf(
    rewrite([f], (node, inputs) => (node === replaced ? by : rebuild(node, inputs))),
    f,
  );
}

/**
 * The verdict. `values` are those of `check.outputs`, computed in `dtype`. Where F is affine in the operand every
 * remainder must be rounding; else they must shrink at the rate, as far as they stand out from rounding.
 * @throws value-not-finite where a value, or what rounding could do to it, is beyond the finite numbers
 */
export function assessCheck(check: CheckGraph, values: readonly number[], dtype: Dtype): CheckReport {
  assert(values.length === check.outputs.length, 'every output has its value');
  const stepCount = CHECK_STEPS.length;
  const norms = new Map(
    check.inputs.map((input, i) => [
      input.params.name,
      normBound(input, valueAt(values, stepCount + 2 + i), dtype),
    ]),
  );
  const bounds = roundingBounds([...check.residuals, ...check.outputs.slice(0, stepCount + 2)], norms, dtype);

  const remainders = values.slice(0, stepCount).map(Math.sqrt);
  const taylorBound = Math.max(
    ...check.residuals.map(node => remainderBound(node, boundOf(bounds, node).error, dtype)),
  );
  const rate = check.linear ? null : rateOf(remainders, taylorBound);

  const [forward, reverse] = [valueAt(values, stepCount), valueAt(values, stepCount + 1)];
  const [forwardBound, reverseBound] = check.outputs
    .slice(stepCount, stepCount + 2)
    .map(o => boundOf(bounds, o));
  assert(forwardBound !== undefined && reverseBound !== undefined, 'both inner products are bounded');
  const scale = forwardBound.norm;
  const relativeDefect = scale === 0 ? 0 : Math.abs(forward - reverse) / scale;
  const adjointBound = scale === 0 ? 0 : (forwardBound.error + reverseBound.error) / scale;
  refuseInfinite([...values, taylorBound, adjointBound]);

  const taylorPassed = check.linear
    ? remainders.every(remainder => remainder <= taylorBound)
    : rate === null || rate >= CHECK_RATE_MIN;
  return {
    passed: taylorPassed && relativeDefect <= adjointBound,
    linear: check.linear,
    taylor: { steps: CHECK_STEPS, remainders, rate, bound: taylorBound },
    adjoint: { forward, reverse, relativeDefect, bound: adjointBound },
  };
}

function valueAt(values: readonly number[], index: number): number {
  const value = values[index];
  assert(value !== undefined, 'every output has its value');
  return value;
}

/** At least the norm of an input whose squared norm came out as `squared`. */
function normBound(input: InputNode, squared: number, dtype: Dtype): number {
  const { rows, cols } = input.shape;
  const { unitRoundoff } = DTYPES[dtype];
  const gamma = roundingConstant(rows + cols, unitRoundoff);
  return Math.sqrt((squared + underflowOf(input, dtype)) * (1 + 2 * gamma));
}

/** At most what a remainder can come out as that would be zero without rounding: R is off by `error`, ⟨R, R⟩ by γ. */
function remainderBound(residual: Node, error: number, dtype: Dtype): number {
  const { rows, cols } = residual.shape;
  const gamma = roundingConstant(rows + cols, DTYPES[dtype].unitRoundoff);
  return Math.hypot(error * Math.sqrt(1 + gamma), Math.sqrt(underflowOf(residual, dtype)));
}

/** What underflow can take from or add to a sum of squares. */
function underflowOf({ shape }: Node, dtype: Dtype): number {
  return Number(elementCount(shape)) * DTYPES[dtype].smallest;
}

/** The slope between the two smallest neighbouring steps whose remainders stand out from rounding. */
function rateOf(remainders: readonly number[], bound: number): number | null {
  for (let i = remainders.length - 1; i > 0; i -= 1) {
    const [larger, smaller] = [valueAt(remainders, i - 1), valueAt(remainders, i)];
    // Steps halve, so a slope of log₂ is one over log t.
    if (Math.min(larger, smaller) > RESOLVED_BOUNDS * bound) return Math.log2(larger / smaller);
  }
  return null;
}

function refuseInfinite(numbers: readonly number[]): void {
  if (numbers.every(Number.isFinite)) return;
  throw new FrechetError(
    'value-not-finite',
    'The check left the range of finite numbers: operands hold NaN or infinities, or their products overflow.',
  );
}
