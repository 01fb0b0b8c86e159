// How far a computed value can be from the exact one: a bound carried through a graph from the norms of its inputs.
// The rule of each primitive stands in its file. The bounds are worst cases; that they are computed in floating
// point themselves is covered many times over by the slack in them.

import { assert } from '../assert.ts';
import type { Bound } from './bound.ts';
import { DTYPES, type Dtype } from './dtype.ts';
import { type Node, topologicalOrder } from './graph.ts';
import { PRIMITIVES } from './primitives/index.ts';

/**
 * Bounds of every node under `roots`. `norms` holds, for each input by name, at least its Frobenius norm. Inputs are
 * exact, for it is the operands rounded to `dtype` that a job is about.
 */
export function roundingBounds(
  roots: readonly Node[],
  norms: ReadonlyMap<string, number>,
  dtype: Dtype,
): ReadonlyMap<Node, Bound> {
  const bounds = new Map<Node, Bound>();
  for (const node of topologicalOrder(roots)) {
    if (node.primitive === 'input') {
      bounds.set(node, inputBound(node.params.name, norms));
    } else {
      const inputs = node.inputs.map(input => boundOf(bounds, input));
      bounds.set(node, PRIMITIVES[node.primitive].bound(inputs, node, DTYPES[dtype]));
    }
  }
  return bounds;
}

/** The bound of a node under the roots that were bounded. */
export function boundOf(bounds: ReadonlyMap<Node, Bound>, node: Node): Bound {
  const bound = bounds.get(node);
  assert(bound !== undefined, 'the node is under the roots that were bounded');
  return bound;
}

function inputBound(name: string, norms: ReadonlyMap<string, number>): Bound {
  const norm = norms.get(name);
  assert(norm !== undefined, `the norm of input ${name} is given`);
  return { norm, error: 0 };
}
