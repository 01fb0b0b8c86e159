// What a block needs in memory beside its matrices: operands arrive in their own dtype and are rounded in place, so
// wider ones need their own width; verification keeps vectors beside every product; a result that is a view is copied.
// An upper bound, from shapes.

import { dependsOnStack } from '../math/cost.ts';
import { DTYPES, type Dtype } from '../math/dtype.ts';
import { type Node, type NodeOf, topologicalOrder } from '../math/graph.ts';
import { PRIMITIVES } from '../math/primitives/index.ts';
import { elementCount } from '../math/shape.ts';
import type { DerivationInput } from './derivation.ts';

const VECTOR_BYTES = BigInt(DTYPES.float64.bytes);

/** Bytes beyond `cost` of evaluating `outputs` for `members` members. */
export function bytesBesideMatrices(
  outputs: readonly Node[],
  inputs: readonly DerivationInput[],
  members: number,
  dtype: Dtype,
): bigint {
  const stacked = dependsOnStack(outputs);
  const times = (node: Node) => (stacked.has(node) ? BigInt(members) : 1n);
  let bytes = 0n;
  for (const node of topologicalOrder(outputs))
    if (node.primitive === 'matmul') bytes += times(node) * proofBytes(node);
  for (const copied of copiesOf(outputs))
    bytes += times(copied) * elementCount(copied.shape) * BigInt(DTYPES[dtype].bytes);
  for (const [read, input] of readsOf(outputs))
    bytes += times(read) * elementCount(read.shape) * wideningBytes(inputs, input, dtype);
  return bytes;
}

/** Signs and ones for the longer side of a product, and a factor's products with them, as long as the inner dimension. */
function proofBytes({ shape, inputs: [a] }: NodeOf<'matmul'>): bigint {
  return 2n * VECTOR_BYTES * BigInt(Math.max(shape.cols, shape.rows) + a.shape.cols);
}

/** Views that become matrices: a result lies by itself, and vec(X) where X lies the other way is X anew. */
function copiesOf(outputs: readonly Node[]): Node[] {
  return [...outputs.filter(isView), ...topologicalOrder(outputs).filter(node => node.primitive === 'vec')];
}

/** A slice of structure is written, any other is looked at. */
function isView(node: Node): boolean {
  if (node.primitive !== 'slice') return node.primitive === 'input' || PRIMITIVES[node.primitive].isView;
  const [{ primitive }] = node.inputs;
  return primitive !== 'kron' && primitive !== 'identity';
}

/** What is read, and of which input: slices, or the whole where anything else uses it. */
function readsOf(outputs: readonly Node[]): ReadonlyMap<Node, string> {
  const reads = new Map<Node, string>();
  const read = (part: Node, input: Node) => {
    if (input.primitive === 'input') reads.set(part, input.params.name);
  };
  for (const node of topologicalOrder(outputs))
    for (const input of node.inputs) read(node.primitive === 'slice' ? node : input, input);
  for (const output of outputs) read(output, output);
  return reads;
}

/** By how much an element of the stored array is wider than one of the computation. */
function wideningBytes(inputs: readonly DerivationInput[], name: string, dtype: Dtype): bigint {
  const source = inputs.find(input => input.name === name)?.source;
  const stored = DTYPES[source?.dtype ?? dtype].bytes;
  return BigInt(Math.max(0, stored - DTYPES[dtype].bytes));
}
