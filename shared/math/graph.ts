// Expressions as graphs of immutable, hash-consed nodes: what is built twice is the same object, so identity is
// equality and a common sub-expression is computed once. Nothing here recurses: a graph may be thousands deep.

import { assert } from '../assert.ts';
import { PRIMITIVES, type PrimitiveName, type Signatures } from './primitives/index.ts';
import type { Shape } from './shape.ts';

/** What an input stands for. A direction or cotangent may be a stack; an operand never is. */
export type Role = 'operand' | 'direction' | 'cotangent';

/** Half-open: [start, stop). */
export type Range = readonly [start: number, stop: number];

/** A rectangle of a matrix. */
export interface Region {
  readonly rows: Range;
  readonly cols: Range;
}

export interface NodeOf<P extends PrimitiveName> {
  readonly primitive: P;
  readonly inputs: Signatures[P]['inputs'];
  readonly params: Signatures[P]['params'];
  readonly shape: Shape;
}

export type Node = { [P in PrimitiveName]: NodeOf<P> }[PrimitiveName];

export type InputNode = NodeOf<'input'>;

// Interned nodes are held weakly: a graph nobody refers to any more is collected, and its entry with it.
const interned = new Map<string, WeakRef<Node>>();
const collected = new FinalizationRegistry<string>(key => {
  // The same node may have been built anew between its collection and this call.
  if (interned.get(key)?.deref() === undefined) interned.delete(key);
});

// Numbers for keys only: they follow the order of creation, so no result may depend on them.
const serials = new WeakMap<Node, number>();
let serialLast = 0;

/** The node with these inputs and params; builds it unless it is there. */
function intern<P extends PrimitiveName>(
  primitive: P,
  inputs: Signatures[P]['inputs'],
  params: Signatures[P]['params'],
): Node {
  const key = `${primitive} ${inputs.map(input => serials.get(input)).join(' ')} ${encodeParams(params)}`;
  const known = interned.get(key)?.deref();
  if (known !== undefined) return known;
  const inputShapes = inputs.map(input => input.shape);
  const shape = PRIMITIVES[primitive].shape(inputShapes, params);
  // The parts are those of P; TypeScript cannot see that the union has such a member.
  const node = Object.freeze({ primitive, inputs, params, shape }) as unknown as Node;
  serialLast += 1;
  serials.set(node, serialLast);
  interned.set(key, new WeakRef(node));
  collected.register(node, key);
  return node;
}

/** What a primitive without params has; most nodes do. */
const NO_PARAMS = {};

/** JSON, in which −0 would read 0. */
function encodeParams(params: object): string {
  if (params === NO_PARAMS) return '';
  return JSON.stringify(params, (_key, value: unknown) => (Object.is(value, -0) ? '-0' : value));
}

/** Constructors of nodes. They infer shapes and assert that shapes fit. */
export const build = {
  input: (name: string, role: Role, shape: Shape): InputNode =>
    intern('input', [], { name, role, rows: shape.rows, cols: shape.cols }) as InputNode, // by its name
  /** A finite number, 1×1. @param error how far it may be from the number that it stands for */
  constant: (value: number, error = 0): Node =>
    intern('constant', [], error === 0 ? { value } : { value, error }),
  /** The identity matrix. */
  identity: (size: number): Node => intern('identity', [], { size }),
  /** A·B */
  matmul: (a: Node, b: Node): Node => intern('matmul', [a, b], NO_PARAMS),
  /** A + B, of one shape. */
  add: (a: Node, b: Node): Node => intern('add', [a, b], NO_PARAMS),
  /** s·A, with s 1×1. */
  scale: (s: Node, a: Node): Node => intern('scale', [s, a], NO_PARAMS),
  /** −A */
  negate: (a: Node): Node => build.scale(build.constant(-1), a),
  /** Aᵀ */
  transpose: (a: Node): Node => intern('transpose', [a], NO_PARAMS),
  /** ⟨A, B⟩ = tr(AᵀB), 1×1. */
  inner: (a: Node, b: Node): Node => intern('inner', [a, b], NO_PARAMS),
  slice: (a: Node, { rows, cols }: Region): Node => intern('slice', [a], { rows, cols }),
  /** Left ⊗ Right; with `swap`, that times the commutation matrix: vec(H) ↦ vec(Right·Hᵀ·Leftᵀ). */
  kron: (left: Node, right: Node, swap = false): Node => intern('kron', [left, right], { swap }),
  /** The columns of A, stacked into one. */
  vec: (a: Node): Node => intern('vec', [a], NO_PARAMS),
};

export type Builder = typeof build;

/** The same primitive with the same params over other inputs. */
export function rebuild(node: Node, inputs: readonly Node[]): Node {
  assert(inputs.length === node.inputs.length, 'a rebuilt node keeps its number of inputs');
  if (inputs.every((input, index) => input === node.inputs[index])) return node;
  return intern(node.primitive, inputs as typeof node.inputs, node.params); // same number of inputs
}

/**
 * Every node under `roots`, each once, inputs before users, in an order that depends on the graph alone.
 *
 * @param inputsOf the inputs of a node that are to be followed
 */
export function topologicalOrder(
  roots: readonly Node[],
  inputsOf: (node: Node) => readonly Node[] = node => node.inputs,
): Node[] {
  const order: Node[] = [];
  const done = new Set<Node>();
  const pending: { node: Node; inputs: readonly Node[]; nextInput: number }[] = [];
  const visit = (node: Node) => pending.push({ node, inputs: inputsOf(node), nextInput: 0 });
  for (const root of roots) {
    visit(root);
    for (let top = pending.at(-1); top !== undefined; top = pending.at(-1)) {
      const input = done.has(top.node) ? undefined : top.inputs[top.nextInput];
      top.nextInput += 1;
      if (input !== undefined) {
        if (!done.has(input)) visit(input);
        continue;
      }
      if (!done.has(top.node)) order.push(top.node);
      done.add(top.node);
      pending.pop();
    }
  }
  return order;
}

/** The inputs under `roots`, in order of first use: what must be known to evaluate them. */
export function inputsOf(roots: readonly Node[]): InputNode[] {
  return topologicalOrder(roots).filter(node => node.primitive === 'input');
}

/**
 * Rebuilds everything under `roots`, inputs first. `visit` sees each node and its rebuilt inputs and answers what
 * takes its place. Returns the places of all nodes.
 */
export function rewrite(
  roots: readonly Node[],
  visit: (node: Node, inputs: readonly Node[]) => Node,
): ReadonlyMap<Node, Node> {
  const places = new Map<Node, Node>();
  for (const node of topologicalOrder(roots)) {
    const inputs = node.inputs.map(input => placeOf(places, input));
    places.set(node, visit(node, inputs));
  }
  return places;
}

/** What took the place of a node in a rewriting that reached it. */
export function placeOf(places: ReadonlyMap<Node, Node>, node: Node): Node {
  const place = places.get(node);
  assert(place !== undefined, 'the node was rewritten');
  return place;
}
