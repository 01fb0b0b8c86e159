// Named rewrites that make a graph cheaper and leave its value alone: it may be rounded differently, but no factor
// that could be infinite or NaN is dropped (0·X stays). The order matters: transposes go down to the inputs, scale
// factors come up, and what is between them are chains of products, which chain.ts re-associates.

import { assert } from '../assert.ts';
import { reassociate } from './chain.ts';
import { build, type Node, placeOf, rebuild, rewrite, topologicalOrder } from './graph.ts';
import { addCoefficients, gather, peel, type Scaled, sumError, wrap } from './scalars.ts';
import { isScalar } from './shape.ts';

/**
 * The same values at less cost. `members` is the length of the stack that direction and cotangent are; what depends
 * on them is computed that many times, everything else once.
 */
export function simplify(roots: readonly Node[], members = 1): Node[] {
  return reassociate(normalize(roots), members);
}

/** Transposes at the inputs, scale factors in front; products associated as they were. */
export function normalize(roots: readonly Node[]): Node[] {
  return pullScales(pushTransposes(roots));
}

/** The same, where what is needed both plain and transposed is written out twice: (A*B)' reads worse than B'*A'. */
export function normalizeForReading(roots: readonly Node[]): Node[] {
  return pullScales(pushTransposes(roots, true));
}

type Orientation = 'plain' | 'transposed';
type Demands = ReadonlyMap<Node, ReadonlySet<Orientation>>;

/**
 * (AB)ᵀ → BᵀAᵀ, (A + B)ᵀ → Aᵀ + Bᵀ, (sA)ᵀ → s·Aᵀ, Aᵀᵀ → A, and sᵀ → s for 1×1, so that transposes end at inputs,
 * where they are views. What is needed both plain and transposed is computed once, plain, and viewed; unless
 * `always`, which computes it twice.
 */
export function pushTransposes(roots: readonly Node[], always = false): Node[] {
  const demands = demandOrientations(roots, always);
  const places = { plain: new Map<Node, Node>(), transposed: new Map<Node, Node>() };
  for (const node of topologicalOrder(roots)) {
    for (const orientation of orientationsMade(node, demands, always)) {
      const inputs = takeAll(node.inputs, orientation);
      const isReversed = orientation === 'transposed' && node.primitive === 'matmul';
      places[orientation].set(node, rebuild(node, isReversed ? inputs.reverse() : inputs));
    }
  }
  return takeAll(roots, 'plain');

  function takeAll(nodes: readonly Node[], orientation: Orientation): Node[] {
    return nodes.map(node => {
      const { base, orientation: wanted } = throughTransposes(node, orientation);
      return places[wanted].get(base) ?? build.transpose(placeOf(places.plain, base));
    });
  }
}

/** In which orientations each node other than a transpose is needed. */
function demandOrientations(roots: readonly Node[], always: boolean): Demands {
  const demands = new Map<Node, Set<Orientation>>();
  for (const root of roots) demand(root, 'plain');
  for (const node of topologicalOrder(roots).reverse()) {
    for (const orientation of orientationsMade(node, demands, always)) {
      for (const input of node.inputs) demand(input, orientation);
    }
  }
  return demands;

  function demand(node: Node, orientation: Orientation): void {
    const { base, orientation: wanted } = throughTransposes(node, orientation);
    const known = demands.get(base);
    if (known === undefined) demands.set(base, new Set([wanted]));
    else known.add(wanted);
  }
}

/** The orientations a node is computed in: transposed where it can hand that on to its inputs, else plain. */
function orientationsMade(node: Node, demands: Demands, always: boolean): readonly Orientation[] {
  if (node.primitive === 'transpose') return [];
  const demanded = demands.get(node);
  const passesOn = node.primitive === 'matmul' || node.primitive === 'add' || node.primitive === 'scale';
  if (!passesOn || demanded === undefined) return ['plain'];
  return always || demanded.size === 1 ? [...demanded] : ['plain'];
}

/** The node under any transposes, and how it is looked at; a 1×1 always plainly. */
function throughTransposes(node: Node, given: Orientation): { base: Node; orientation: Orientation } {
  let base = node;
  let orientation = given;
  while (base.primitive === 'transpose') {
    base = base.inputs[0];
    orientation = orientation === 'plain' ? 'transposed' : 'plain';
  }
  return { base, orientation: isScalar(base.shape) ? 'plain' : orientation };
}

/**
 * (sA)B → s(AB) and the like for every product, a(bX) → (ab)X and aX + bX → (a + b)X where no number is rounded by it,
 * 1·X → X, sums of numbers → a number: what is left of scale factors stands on top, the number first.
 */
export function pullScales(roots: readonly Node[]): Node[] {
  const places = rewrite(roots, (node, inputs) => {
    switch (node.primitive) {
      case 'scale':
        return pullScale(inputs);
      case 'add':
        return mergeSummands(inputs.map(peel)) ?? rebuild(node, inputs);
      case 'matmul':
      case 'inner':
      case 'kron':
      case 'transpose':
      case 'vec':
        return pullThrough(node, inputs.map(peel));
      default:
        return rebuild(node, inputs);
    }
  });
  return roots.map(root => placeOf(places, root));
}

/** A primitive that is linear in each input, over inputs without their scale factors. */
function pullThrough(node: Node, parts: readonly Scaled[]): Node {
  const cores = parts.map(part => part.core);
  return wrap(gather(parts, throughOne(node, cores)));
}

/** The same over cores. A matrix product with the number 1 is the other factor; a transpose may meet another. */
function throughOne(node: Node, cores: readonly Node[]): Node {
  const [a, b] = cores;
  if (node.primitive === 'transpose' && a?.primitive === 'transpose') return a.inputs[0];
  if (node.primitive === 'matmul' && a?.primitive === 'constant' && b !== undefined) return b;
  if (node.primitive === 'matmul' && b?.primitive === 'constant' && a !== undefined) return a;
  return rebuild(node, cores);
}

function pullScale(inputs: readonly Node[]): Node {
  const [factor, matrix] = inputs.map(peel);
  assert(factor !== undefined && matrix !== undefined, 'a scale has two inputs');
  const own = factor.core.primitive === 'constant' ? [] : [factor.core];
  return wrap(gather([{ ...factor, scalars: [...factor.scalars, ...own] }, matrix], matrix.core));
}

/**
 * aX + bX → (a + b)X, where a and b have one sign: X − X would be 0·X, which is the same, but 2X − X is NaN for an
 * infinite X and X is not.
 */
function mergeSummands(parts: readonly Scaled[]): Node | undefined {
  const [a, b] = parts;
  if (a === undefined || b === undefined || a.core !== b.core) return undefined;
  const numbers = [numberOf(a), numberOf(b)] as const;
  if (numbers[0] !== undefined && numbers[1] !== undefined) return addNumbers(numbers[0], numbers[1]);
  const sameScalars = a.scalars.length === b.scalars.length && a.scalars.every((s, i) => s === b.scalars[i]);
  const coefficient = addCoefficients(a.coefficient, b.coefficient);
  const isSafe = a.coefficient * b.coefficient > 0;
  return sameScalars && isSafe && coefficient !== undefined ? wrap({ ...a, coefficient }) : undefined;
}

/** A number, and how far it may be from what it stands for. */
interface Inexact {
  readonly value: number;
  readonly error: number;
}

/** Undefined for what is no number, or one that has factors of its own. */
function numberOf({ coefficient, scalars, core }: Scaled): Inexact | undefined {
  if (core.primitive !== 'constant') return undefined;
  const [only, ...more] = scalars;
  if (only === undefined) return { value: coefficient, error: 0 };
  if (only.primitive !== 'constant' || more.length > 0 || Math.abs(coefficient) !== 1) return undefined;
  return { value: coefficient * only.params.value, error: only.params.error ?? 0 };
}

/** In float64; what the sum loses is known. */
function addNumbers(a: Inexact, b: Inexact): Node | undefined {
  const value = a.value + b.value;
  if (!Number.isFinite(value)) return undefined;
  // Sums of errors are rounded up.
  const error = (a.error + b.error + Math.abs(sumError(a.value, b.value, value))) * (1 + 2 ** -50);
  return build.constant(value, error);
}
