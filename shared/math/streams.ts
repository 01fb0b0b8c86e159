// Products whose factors need not be in memory as a whole: A·B = Σ A[:, s]·B[s, :] over slabs s of the inner
// dimension, taken in ascending order. What is read slab by slab is a factor that lies in an input as it is, or
// transposed; a factor that must be computed first is in memory anyway.

import { assert } from '../assert.ts';
import {
  type InputNode,
  type Node,
  type NodeOf,
  type Range,
  type Region,
  topologicalOrder,
} from './graph.ts';

/** A factor that lies in an input. */
export interface LeafFactor {
  readonly input: InputNode;
  readonly region: Region;
  readonly isTransposed: boolean;
}

/** Which factors of a product are read slab by slab: one of them, or both. */
export interface StreamedFactors {
  readonly left: LeafFactor | undefined;
  readonly right: LeafFactor | undefined;
}

export interface Streaming {
  readonly products: ReadonlyMap<Node, StreamedFactors>;
  /** Elements of the inner dimension in all slabs of a product but the last. */
  readonly slabLength: number;
}

/** Slabs are no shorter, and whole multiples of it: panels in which reproducible sums run, so that slabs change no bit. */
export const SLAB_GRAIN = 256;

export const NOTHING_STREAMED: Streaming = { products: new Map(), slabLength: Number.POSITIVE_INFINITY };

/** The products under `roots` whose inner dimension is longer than a slab and that have a factor to be read in slabs. */
export function findStreaming(roots: readonly Node[], slabLength: number | undefined): Streaming {
  if (slabLength === undefined) return NOTHING_STREAMED;
  assert(slabLength > 0, 'a slab has a length');
  const products = new Map<Node, StreamedFactors>();
  for (const node of topologicalOrder(roots)) {
    if (node.primitive !== 'matmul' || innerLength(node) <= slabLength) continue;
    const [left, right] = node.inputs.map(leafOf);
    if (left !== undefined || right !== undefined) products.set(node, { left, right });
  }
  return { products, slabLength };
}

/** The inputs of a node whose values its own needs in memory as a whole. */
export function residentInputs(node: Node, { products }: Streaming): readonly Node[] {
  const factors = products.get(node);
  if (factors === undefined) return node.inputs;
  const [a, b] = node.inputs as readonly [Node, Node]; // a product has two
  return [...(factors.left === undefined ? [a] : []), ...(factors.right === undefined ? [b] : [])];
}

export function innerLength({ inputs: [a] }: NodeOf<'matmul'>): number {
  return a.shape.cols;
}

/** The slabs of an inner dimension, ascending. */
export function* slabsOf(length: number, slabLength: number): Generator<Range> {
  for (let start = 0; start < length; start += slabLength)
    yield [start, Math.min(start + slabLength, length)];
}

/** What of its input a slab [start, stop) of a factor is. */
export function slabRegion(
  { region: { rows, cols }, isTransposed }: LeafFactor,
  side: 'left' | 'right',
  [start, stop]: Range,
): Region {
  const within = ([first]: Range): Range => [first + start, first + stop];
  const isOfColumns = (side === 'left') !== isTransposed;
  return isOfColumns ? { rows, cols: within(cols) } : { rows: within(rows), cols };
}

function leafOf(factor: Node): LeafFactor | undefined {
  let [node, isTransposed] = [factor, false];
  while (node.primitive === 'transpose') {
    isTransposed = !isTransposed;
    node = node.inputs[0];
  }
  if (node.primitive === 'input') {
    const { rows, cols } = node.shape;
    return { input: node, region: { rows: [0, rows], cols: [0, cols] }, isTransposed };
  }
  if (node.primitive !== 'slice' || node.inputs[0].primitive !== 'input') return undefined;
  return { input: node.inputs[0], region: node.params, isTransposed };
}
