// What a block needs in memory beside its matrices: operands arrive in their own dtype and are rounded in place, so
// wider ones need their own width; verification keeps vectors beside every product; a result that is a view is copied;
// what is streamed has two slots that take turns, and its sum a second place. An upper bound, from shapes.

import { dependsOnStack } from '../math/cost.ts';
import { DTYPES, type Dtype } from '../math/dtype.ts';
import { type Node, type NodeOf, topologicalOrder } from '../math/graph.ts';
import { PRIMITIVES } from '../math/primitives/index.ts';
import { elementCount } from '../math/shape.ts';
import {
  innerLength,
  residentInputs,
  type StreamedFactors,
  type Streaming,
  slabRegion,
} from '../math/streams.ts';
import type { DerivationInput } from './derivation.ts';

const VECTOR_BYTES = BigInt(DTYPES.float64.bytes);
/** One slab is computed with while the next is loaded. */
const STREAM_SLOTS = 2n;
/** Beside a streamed slab lie digests and fingerprints of its chunks, control words and gaps: one byte of so many, and so many more. */
const SLAB_BYTES_PER_NOTE = 1024n;
const SLAB_NOTE_BYTES = 1024n;

/** Bytes beyond `cost` of evaluating `outputs` for `members` members. */
export function bytesBesideMatrices(
  outputs: readonly Node[],
  inputs: readonly DerivationInput[],
  members: number,
  dtype: Dtype,
  streaming: Streaming,
): bigint {
  const stacked = dependsOnStack(outputs);
  const times = (node: Node) => (stacked.has(node) ? BigInt(members) : 1n);
  let bytes = 0n;
  for (const node of topologicalOrder(outputs))
    if (node.primitive === 'matmul') bytes += times(node) * proofBytes(node, streaming);
  for (const copied of copiesOf(outputs))
    bytes += times(copied) * elementCount(copied.shape) * BigInt(DTYPES[dtype].bytes);
  for (const [read, input] of readsOf(outputs, streaming))
    bytes += times(read) * elementCount(read.shape) * wideningBytes(inputs, input, dtype);
  let slotBytes = 0n;
  for (const [product, factors] of streaming.products) {
    bytes += times(product) * elementCount(product.shape) * BigInt(DTYPES[dtype].bytes);
    const ofSlabs = slabBytes(factors, streaming.slabLength, times, inputs, dtype);
    if (ofSlabs > slotBytes) slotBytes = ofSlabs;
  }
  return bytes + STREAM_SLOTS * slotBytes;
}

/** The slabs that one step of a streamed product reads. */
function slabBytes(
  { left, right }: StreamedFactors,
  slabLength: number,
  times: (node: Node) => bigint,
  inputs: readonly DerivationInput[],
  dtype: Dtype,
): bigint {
  let bytes = 0n;
  for (const [side, factor] of [
    ['left', left],
    ['right', right],
  ] as const) {
    if (factor === undefined) continue;
    const { rows, cols } = slabRegion(factor, side, [0, slabLength]);
    const elements = times(factor.input) * BigInt(rows[1] - rows[0]) * BigInt(cols[1] - cols[0]);
    const width = BigInt(DTYPES[dtype].bytes) + wideningBytes(inputs, factor.input.params.name, dtype);
    bytes += elements * width + (elements * width) / SLAB_BYTES_PER_NOTE + SLAB_NOTE_BYTES;
  }
  return bytes;
}

/** Signs and ones for the longer side of a product, and a factor's products with them, as long as the inner dimension. */
function proofBytes(product: NodeOf<'matmul'>, { products, slabLength }: Streaming): bigint {
  const length = innerLength(product);
  const inner = products.has(product) ? Math.min(length, slabLength) : length;
  return 2n * VECTOR_BYTES * BigInt(Math.max(product.shape.cols, product.shape.rows) + inner);
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

/** What is read as a whole, and of which input: slices, or all of it where anything else uses it. */
function readsOf(outputs: readonly Node[], streaming: Streaming): ReadonlyMap<Node, string> {
  const reads = new Map<Node, string>();
  const read = (part: Node, input: Node) => {
    if (input.primitive === 'input') reads.set(part, input.params.name);
  };
  const resident = (node: Node) => residentInputs(node, streaming);
  for (const node of topologicalOrder(outputs, resident))
    for (const input of resident(node)) read(node.primitive === 'slice' ? node : input, input);
  for (const output of outputs) read(output, output);
  return reads;
}

/** By how much an element of the stored array is wider than one of the computation. */
function wideningBytes(inputs: readonly DerivationInput[], name: string, dtype: Dtype): bigint {
  const source = inputs.find(input => input.name === name)?.source;
  const stored = DTYPES[source?.dtype ?? dtype].bytes;
  return BigInt(Math.max(0, stored - DTYPES[dtype].bytes));
}
