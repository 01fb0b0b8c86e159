// Scale factors on top of a node: taken off, gathered and put back in one normal order, the number first.

import { build, type Node } from './graph.ts';

/** c·s₁·s₂·…·core. A core that is a number is 1: the number is in the coefficient. */
export interface Scaled {
  readonly coefficient: number;
  /** 1×1 nodes; a number among them is one that could not be folded into the coefficient. */
  readonly scalars: readonly Node[];
  readonly core: Node;
}

/** Halves a significand (Veltkamp): 2²⁷ + 1. */
const SPLITTER = 134_217_729;
/** Beyond it splitting overflows; below, what a product loses is no number. Whoever is outside is not folded. */
const [FOLDED_MIN, FOLDED_MAX] = [2 ** -900, 2 ** 900] as const;

/**
 * a·b, where scaling by it is scaling by b and then by a; undefined where it would be rounded, overflow or be lost to
 * underflow, for then it says another thing than its factors, and no bound of rounding would know of it.
 */
export function foldCoefficients(a: number, b: number): number | undefined {
  const product = a * b;
  if (a === 0 || b === 0 || Math.abs(a) === 1 || Math.abs(b) === 1) return product;
  const size = Math.abs(product);
  const isWithin = [size, Math.abs(a), Math.abs(b)].every(x => FOLDED_MIN <= x && x <= FOLDED_MAX);
  return isWithin && productError(a, b, product) === 0 ? product : undefined;
}

/** a + b; undefined where it would be rounded, or overflow. */
export function addCoefficients(a: number, b: number): number | undefined {
  const sum = a + b;
  return Number.isFinite(sum) && sumError(a, b, sum) === 0 ? sum : undefined;
}

/** a·b − fl(a·b), exactly (Dekker 1971). */
function productError(a: number, b: number, product: number): number {
  const [aHigh, aLow] = split(a);
  const [bHigh, bLow] = split(b);
  return aLow * bLow - (product - aHigh * bHigh - aLow * bHigh - aHigh * bLow);
}

function split(x: number): readonly [high: number, low: number] {
  const shifted = SPLITTER * x;
  const high = shifted - (shifted - x);
  return [high, x - high];
}

/** a + b − fl(a + b), exactly (Knuth). */
export function sumError(a: number, b: number, sum: number): number {
  const fromB = sum - a;
  return a - (sum - fromB) + (b - fromB);
}

/** Takes the scale factors off a node. */
export function peel(node: Node): Scaled {
  const factors: Node[] = [];
  let core = node;
  for (; core.primitive === 'scale'; core = core.inputs[1]) factors.push(core.inputs[0]);
  if (core.primitive === 'constant') factors.push(core);
  return fold(factors, core.primitive === 'constant' ? build.constant(1) : core);
}

/** The factors of several nodes together, over a new core. */
export function gather(parts: readonly Scaled[], core: Node): Scaled {
  const factors = parts.flatMap(part => [build.constant(part.coefficient), ...part.scalars]);
  return fold(factors, core);
}

/** Puts scale factors on a node; a coefficient of 1 is nothing to put, and neither is a core of 1. */
export function wrap({ coefficient, scalars, core }: Scaled): Node {
  const isNumber = core.primitive === 'constant' && core.params.value === 1;
  const last = isNumber ? scalars.at(-1) : core;
  if (last === undefined) return build.constant(coefficient);
  const others = isNumber ? scalars.slice(0, -1) : scalars;
  const withScalars = others.reduceRight((node, s) => build.scale(s, node), last);
  return coefficient === 1 ? withScalars : build.scale(build.constant(coefficient), withScalars);
}

/** The coefficient with another number in it; undefined where that is to stay a factor of its own. */
export function foldConstant(coefficient: number, factor: Node): number | undefined {
  if (factor.primitive !== 'constant' || factor.params.error !== undefined) return undefined;
  return foldCoefficients(factor.params.value, coefficient);
}

function fold(factors: readonly Node[], core: Node): Scaled {
  let coefficient = 1;
  const scalars: Node[] = [];
  for (const factor of factors) {
    const folded = foldConstant(coefficient, factor);
    if (folded === undefined) scalars.push(factor);
    else coefficient = folded;
  }
  return { coefficient, scalars, core };
}
