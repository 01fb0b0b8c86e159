// Reverse mode: the adjoint of the derivative of a graph, as a graph. One loop; the rules are the primitives'.

import { build, type Node, topologicalOrder } from './graph.ts';
import { DIFFERENTIABLE, type DifferentiableTable } from './primitives/index.ts';
import { addTangents, differentiable } from './rules.ts';

/**
 * dF*(g) with respect to the node `wrt`: the cotangent `g` has the shape of F, the result that of `wrt`.
 * Undefined where F does not depend on `wrt`. `table` replaces the rules, for tests that a wrong one is found out.
 */
export function vjp(
  f: Node,
  g: Node,
  wrt: Node,
  table: DifferentiableTable = DIFFERENTIABLE,
): Node | undefined {
  const order = topologicalOrder([f]);
  const active = dependsOn(order, wrt);
  const cotangentOf = new Map<Node, Node | undefined>([[f, g]]);
  for (const node of order.reverse()) {
    const cotangent = cotangentOf.get(node);
    if (cotangent === undefined || !active.has(node)) continue;
    const contributions = differentiable(table, node).vjp(build, node, cotangent);
    for (const [index, input] of node.inputs.entries()) {
      if (!active.has(input)) continue;
      cotangentOf.set(input, addTangents(build, cotangentOf.get(input), contributions[index]?.()));
    }
  }
  return active.has(f) ? cotangentOf.get(wrt) : undefined;
}

/** The nodes of `order` (inputs first) that `wrt` reaches. */
function dependsOn(order: readonly Node[], wrt: Node): ReadonlySet<Node> {
  const active = new Set<Node>([wrt]);
  for (const node of order) {
    if (node.inputs.some(input => active.has(input))) active.add(node);
  }
  return active;
}
