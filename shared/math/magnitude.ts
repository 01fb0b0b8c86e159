// The componentwise rounding bound of a graph: whatever the order of its sums, |Ĉ − C| ≤ γ_N·M element by element, where
// M is the same graph over |operands| and |constants|, and N the most roundings that one product of operands runs through
// (Higham, Accuracy and Stability, §3.1, §3.5). Barring underflow, as there.

import { unreachable } from '../assert.ts';
import { roundingConstant } from './bound.ts';
import { DTYPES, type Dtype } from './dtype.ts';
import { build, type Node, placeOf, rebuild, rewrite, topologicalOrder } from './graph.ts';
import { innerLength, SLAB_GRAIN } from './streams.ts';

/** Names of operands are words, so no operand is called so. */
const MAGNITUDE = /^\|(.+)\|$/;

/** The name of the operand whose magnitudes an input of this name is; undefined for any other input. */
export function magnitudeOperand(name: string): string | undefined {
  return MAGNITUDE.exec(name)?.[1];
}

/** M: the same graph with |x| for every operand and constant x. An operand A becomes an input named |A|. */
export function magnitudeOf(root: Node): Node {
  const places = rewrite([root], (node, inputs) => {
    switch (node.primitive) {
      case 'input':
        return build.input(`|${node.params.name}|`, node.params.role, node.shape);
      case 'constant':
        // What it lost before is to be a rounding like any other.
        return build.constant(Math.abs(node.params.value) + (node.params.error ?? 0) * 2 ** 53);
      default:
        return rebuild(node, inputs);
    }
  });
  return placeOf(places, root);
}

/** What |Ĉ − C| is at most of M̂, as computed in `dtype`, which is itself at least (1 − γ_N)·M. */
export function componentwiseFactor(root: Node, dtype: Dtype): number {
  const gamma = roundingConstant(roundingsOf(root), DTYPES[dtype].unitRoundoff);
  return gamma < 1 ? gamma / (1 - gamma) : Number.POSITIVE_INFINITY;
}

/** A scaling, a coefficient that had to be rounded, and the addition of what was made so to a sum. */
const ROUNDINGS_OF_A_FACTOR = 3;

interface Roundings {
  /** Of the node. */
  readonly own: number;
  /** Of a sum: its terms, and the most roundings that one of them has. A sum may be taken in any order, or at once. */
  readonly terms: number;
  readonly inTerm: number;
}

/** The most roundings that a product of operands runs through on its way into an element of `root`. */
function roundingsOf(root: Node): number {
  const known = new Map<Node, Roundings>();
  for (const node of topologicalOrder([root]))
    known.set(
      node,
      roundings(
        node,
        node.inputs.map(input => known.get(input)!),
      ),
    );
  return known.get(root)!.own;
}

function roundings(node: Node, inputs: readonly Roundings[]): Roundings {
  const single = (own: number) => ({ own, terms: 1, inTerm: own });
  const factors = inputs.reduce((sum, { own }) => sum + own, 0);
  switch (node.primitive) {
    case 'add': {
      const terms = inputs.reduce((sum, input) => sum + input.terms, 0);
      const inTerm = Math.max(...inputs.map(input => input.inTerm));
      return { own: inTerm + ROUNDINGS_OF_A_FACTOR * terms, terms, inTerm };
    }
    case 'matmul': {
      const length = innerLength(node);
      // Where it is streamed, each slab is scaled and added by itself.
      return single(factors + length + ROUNDINGS_OF_A_FACTOR * (1 + Math.ceil(length / SLAB_GRAIN)));
    }
    case 'inner':
      return single(factors + node.inputs[0].shape.rows + node.inputs[0].shape.cols + ROUNDINGS_OF_A_FACTOR);
    case 'scale':
    case 'kron':
    case 'constant':
      return single(factors + ROUNDINGS_OF_A_FACTOR);
    case 'input':
    case 'identity':
    case 'transpose':
    case 'slice':
    case 'vec':
      return single(factors);
    default:
      return unreachable(node);
  }
}
