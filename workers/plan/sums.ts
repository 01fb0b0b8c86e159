// How a graph falls into steps: a sum, with every constant factor and every summand that nobody else needs, is one
// step. Pure analysis of the graph; nothing here knows of memory.

import type { Dtype } from '../../shared/math/dtype.ts';
import { type Node, topologicalOrder } from '../../shared/math/graph.ts';
import { PRIMITIVES } from '../../shared/math/primitives/index.ts';
import { foldConstant } from '../../shared/math/scalars.ts';
import { residentInputs, type Streaming } from '../../shared/math/streams.ts';

/** One summand: coefficient times the node's value; `opened` where the step computes it, else it is read. */
export interface Summand {
  readonly node: Node;
  readonly coefficient: number;
  readonly opened: boolean;
}

export interface Sums {
  /** The summands of a computed node, in the order of the expression. */
  summandsOf(root: Node): readonly Summand[];
  /** Nodes whose value must be in memory, inputs before users. */
  readonly demanded: readonly Node[];
}

/** Smaller numbers of float32 have fewer digits. */
const FLOAT32_NORMAL_MIN = 2 ** -126;

export function analyseSums(outputs: readonly Node[], dtype: Dtype, streaming: Streaming): Sums {
  const order = topologicalOrder(outputs);
  const uses = countUses(order, outputs);

  function summandsOf(root: Node): readonly Summand[] {
    const summands: Summand[] = [];
    const pending = [{ node: root, coefficient: 1 }];
    for (let top = pending.pop(); top !== undefined; top = pending.pop()) {
      const { node, coefficient } = top;
      const opened = node === root || (isStep(node) && uses.get(node) === 1);
      if (opened && node.primitive === 'add') {
        pending.push({ node: node.inputs[1], coefficient }, { node: node.inputs[0], coefficient });
        continue;
      }
      const folded = opened ? foldedConstant(node, coefficient) : undefined;
      if (folded !== undefined) pending.push(folded);
      else summands.push({ node, coefficient, opened: opened && isComputedWith(coefficient, node, dtype) });
    }
    return keepProvable(summands);
  }

  const demanded = new Set(outputs);
  for (const node of order.toReversed()) {
    if (!demanded.has(node)) continue;
    const read = isStep(node)
      ? summandsOf(node).flatMap(summand => operandsOf(summand, streaming))
      : node.inputs;
    // A slice of an input is a view of its own slab; the rest of the input is not read.
    const isLoaded = node.primitive === 'slice' && node.inputs[0].primitive === 'input';
    for (const operand of isLoaded ? [] : read) demanded.add(operand);
  }
  return { summandsOf, demanded: order.filter(node => demanded.has(node)) };
}

/** c·(aX) as (ca)·X, unless ca says another thing than its factors: then aX is a step of its own. */
function foldedConstant(node: Node, coefficient: number): Pick<Summand, 'node' | 'coefficient'> | undefined {
  if (node.primitive !== 'scale') return undefined;
  const folded = foldConstant(coefficient, node.inputs[0]);
  return folded === undefined ? undefined : { node: node.inputs[1], coefficient: folded };
}

/** Whether a step that computes the node can scale it by the coefficient: a kernel rounds α to its dtype, which must not lose it. */
function isComputedWith(coefficient: number, node: Node, dtype: Dtype): boolean {
  // A number that is exact is the coefficient of its own step; one that is not lies in memory, as any scalar.
  if (node.primitive === 'scale' && foldConstant(1, node.inputs[0]) !== undefined) return false;
  if (node.primitive !== 'matmul' || dtype === 'float64') return isStep(node);
  const size = Math.abs(coefficient);
  return size === 0 || (size >= FLOAT32_NORMAL_MIN && Number.isFinite(Math.fround(size)));
}

/** Freivalds' test knows products and matrices: where a sum has structure too, its products are steps of their own. */
function keepProvable(summands: readonly Summand[]): readonly Summand[] {
  const hasStructure = summands.some(({ node, opened }) => opened && structureOf(node) !== undefined);
  if (!hasStructure) return summands;
  return summands.map(summand =>
    summand.node.primitive === 'matmul' ? { ...summand, opened: false } : summand,
  );
}

/** The Kronecker product, identity or vec'd structure that a step writes column by column, sliced or not. */
export function structureOf(node: Node): (Node & { primitive: 'kron' | 'identity' }) | undefined {
  const inside = node.primitive === 'slice' ? node.inputs[0] : node;
  return inside.primitive === 'kron' || inside.primitive === 'identity' ? inside : undefined;
}

/** Flops of evaluating one node once. */
export function flopsOf(node: Node): bigint {
  const inside = structureOf(node) === undefined ? node : { ...node, inputs: structureOf(node)!.inputs };
  const shapes = inside.inputs.map(input => input.shape);
  return PRIMITIVES[structureOf(node)?.primitive ?? node.primitive].flops(shapes, node.shape);
}

/** Computed by a combine step. */
export function isStep(node: Node): boolean {
  if (structureOf(node) !== undefined) return true;
  return node.primitive === 'add' || node.primitive === 'scale' || node.primitive === 'matmul';
}

function operandsOf({ node, opened }: Summand, streaming: Streaming): readonly Node[] {
  if (!opened) return [node];
  const structure = structureOf(node);
  // The zeros of an identity are written, never read.
  return structure === undefined
    ? residentInputs(node, streaming)
    : structure.inputs.filter(factor => factor.primitive !== 'identity');
}

function countUses(order: readonly Node[], outputs: readonly Node[]): ReadonlyMap<Node, number> {
  const uses = new Map<Node, number>();
  const used = [...outputs, ...order.flatMap(node => node.inputs)];
  for (const node of used) uses.set(node, (uses.get(node) ?? 0) + 1);
  return uses;
}
