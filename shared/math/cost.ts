// What a graph costs, decided from shapes alone in exact integers. Whoever admits jobs and plans memory asks here.

import { DTYPES, type Dtype } from './dtype.ts';
import { type Node, topologicalOrder } from './graph.ts';
import { PRIMITIVES } from './primitives/index.ts';
import { elementCount } from './shape.ts';
import { NOTHING_STREAMED, residentInputs, type Streaming } from './streams.ts';

export interface Cost {
  readonly flops: bigint;
  /** All inputs, as far as they are read and not streamed, and every intermediate and result, as if none were released. */
  readonly peakBytes: bigint;
}

/** The nodes under `roots` that depend on a direction or cotangent: those computed once for each member of a stack. */
export function dependsOnStack(roots: readonly Node[]): ReadonlySet<Node> {
  const dependent = new Set<Node>();
  for (const node of topologicalOrder(roots)) {
    const isSource = node.primitive === 'input' && node.params.role !== 'operand';
    if (isSource || node.inputs.some(input => dependent.has(input))) dependent.add(node);
  }
  return dependent;
}

/** Flops and bytes of evaluating `roots` together for a stack of `members`. */
export function cost(
  roots: readonly Node[],
  members: number,
  dtype: Dtype,
  streaming: Streaming = NOTHING_STREAMED,
): Cost {
  const dependent = dependsOnStack(roots);
  let flops = 0n;
  let elements = 0n;
  for (const node of evaluatedNodes(roots, streaming)) {
    const times = dependent.has(node) ? BigInt(members) : 1n;
    flops += times * ownFlops(node);
    if (isStored(node)) elements += times * elementCount(node.shape);
  }
  return { flops, peakBytes: elements * BigInt(DTYPES[dtype].bytes) };
}

export function flopsOf(roots: readonly Node[], members: number): bigint {
  return cost(roots, members, 'float64').flops;
}

/**
 * The nodes whose value comes into being when `roots` are evaluated. Not among them: an input that only slices of
 * are read, a Kronecker product that only slices of are written, an identity that is a factor of one, what is streamed.
 */
function evaluatedNodes(roots: readonly Node[], streaming: Streaming): Node[] {
  const evaluated = new Set<Node>(roots);
  const order = topologicalOrder(roots);
  for (const node of order.toReversed()) {
    if (evaluated.has(node)) for (const input of neededInputs(node, streaming)) evaluated.add(input);
  }
  return order.filter(node => evaluated.has(node));
}

function neededInputs(node: Node, streaming: Streaming): readonly Node[] {
  const [first] = node.inputs;
  if (node.primitive === 'slice' && first !== undefined && !isSliceable(first))
    return neededInputs(first, streaming);
  if (node.primitive === 'kron') return node.inputs.filter(input => input.primitive !== 'identity');
  return residentInputs(node, streaming);
}

/** Whether a slice of the node is a view of its value; else the slice says which part of the node to make. */
function isSliceable({ primitive }: Node): boolean {
  return primitive !== 'input' && primitive !== 'kron' && primitive !== 'identity' && primitive !== 'vec';
}

function ownFlops(node: Node): bigint {
  const [first] = node.inputs;
  const made = node.primitive === 'slice' && first !== undefined && !isSliceable(first) ? first : node;
  const inputShapes = made.inputs.map(input => input.shape);
  return PRIMITIVES[made.primitive].flops(inputShapes, node.shape);
}

function isStored(node: Node): boolean {
  const [first] = node.inputs;
  if (node.primitive === 'slice' && first !== undefined) return !isSliceable(first);
  return !PRIMITIVES[node.primitive].isView;
}
