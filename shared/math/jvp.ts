// Forward mode: the derivative of a graph along given tangents, as a graph. One loop; the rules are the primitives'.

import { assert } from '../assert.ts';
import { build, type Node, topologicalOrder } from './graph.ts';
import { DIFFERENTIABLE, type DifferentiableTable } from './primitives/index.ts';
import { differentiable } from './rules.ts';

/**
 * dF along `tangents` (node → its tangent, of its shape), linear in them; undefined where F does not depend on any
 * of those nodes. `table` replaces the rules, for tests that a wrong one is found out.
 */
export function jvp(
  f: Node,
  tangents: ReadonlyMap<Node, Node>,
  table: DifferentiableTable = DIFFERENTIABLE,
): Node | undefined {
  const tangentOf = new Map(tangents);
  for (const node of topologicalOrder([f])) {
    const inputTangents = node.inputs.map(input => tangentOf.get(input));
    if (tangentOf.has(node) || inputTangents.every(tangent => tangent === undefined)) continue;
    const tangent = differentiable(table, node).jvp(build, node, inputTangents);
    assert(tangent !== undefined, `${node.primitive} has a tangent where an input has one`);
    tangentOf.set(node, tangent);
  }
  return tangentOf.get(f);
}
