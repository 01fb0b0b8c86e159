// What a primitive is: an object to which each interpretation of a graph attaches one short rule. The families at the
// end (leaf, linear, bilinear) give most rules in a line each. Rules get the builder as an argument and speak only
// of nodes, never of numbers, so that a derivative is again a graph, and its derivative too.

import { assert } from '../assert.ts';
import { type Bound, boundProduct, type Products } from './bound.ts';
import type { DtypeEntry } from './dtype.ts';
import type { Builder, Node, NodeOf, Region } from './graph.ts';
import type {
  DifferentiableName,
  DifferentiableTable,
  PrimitiveName,
  Signatures,
} from './primitives/index.ts';
import type { Shape } from './shape.ts';

type Inputs<P extends PrimitiveName> = Signatures[P]['inputs'];
type Params<P extends PrimitiveName> = Signatures[P]['params'];

/** One T for each input of P, in order. */
export type PerInput<P extends PrimitiveName, T> = Each<Inputs<P>, T>;
type Each<I extends readonly unknown[], T> = { readonly [K in keyof I]: T };

/** The rules every primitive has. */
export interface Primitive<P extends PrimitiveName> {
  /** Shape of the result; asserts that the inputs fit, for whoever builds has checked what a client wrote. */
  shape(inputs: PerInput<P, Shape>, params: Params<P>): Shape;
  /** Floating-point operations of one evaluation, exact. */
  flops(inputs: PerInput<P, Shape>, result: Shape): bigint;
  /** True where the result is another way of reading the input's memory and costs neither time nor space. */
  readonly isView: boolean;
  /** The region of each input that a region of the result needs; undefined where a slice stays outside. */
  region(node: NodeOf<P>, region: Region): PerInput<P, Region> | undefined;
  /** Bounds on the norm of the value and of its rounding error, from those of the inputs. */
  bound(inputs: PerInput<P, Bound>, node: NodeOf<P>, arithmetic: DtypeEntry): Bound;
}

/** A primitive that forward and reverse mode may meet. */
export interface Differentiable<P extends PrimitiveName> extends Primitive<P> {
  /** Tangent of the result. A tangent that is zero is undefined; at least one given is not. */
  jvp(build: Builder, node: NodeOf<P>, tangents: PerInput<P, Node | undefined>): Node | undefined;
  /** For each input, what the cotangent `g` of the result contributes to its cotangent; built only if asked for. */
  vjp(build: Builder, node: NodeOf<P>, g: Node): PerInput<P, () => Node>;
}

/** A primitive met in a graph, where its name is known only at run time. */
export interface AnyPrimitive {
  shape(inputs: readonly Shape[], params: unknown): Shape;
  flops(inputs: readonly Shape[], result: Shape): bigint;
  readonly isView: boolean;
  region(node: Node, region: Region): readonly Region[] | undefined;
  bound(inputs: readonly Bound[], node: Node, arithmetic: DtypeEntry): Bound;
}

export interface AnyDifferentiable extends AnyPrimitive {
  jvp(build: Builder, node: Node, tangents: readonly (Node | undefined)[]): Node | undefined;
  vjp(build: Builder, node: Node, g: Node): readonly (() => Node)[];
}

/** The rules of a node that a derivative passes through. */
export function differentiable(table: DifferentiableTable, node: Node): AnyDifferentiable {
  assert(isDifferentiable(table, node.primitive), `no derivative passes through ${node.primitive}`);
  return table[node.primitive];
}

function isDifferentiable(table: DifferentiableTable, name: PrimitiveName): name is DifferentiableName {
  return Object.hasOwn(table, name);
}

/** a + b, where a summand that is zero is undefined. */
export function addTangents(build: Builder, a: Node | undefined, b: Node | undefined): Node | undefined {
  if (a === undefined) return b;
  return b === undefined ? a : build.add(a, b);
}

type NameWith<I> = { [P in PrimitiveName]: Inputs<P> extends I ? P : never }[PrimitiveName];

/** Family of what has no inputs: nothing to compute, nothing to differentiate. */
export function leaf<P extends NameWith<readonly []>>(rule: {
  shape(params: Params<P>): Shape;
  bound(node: NodeOf<P>, arithmetic: DtypeEntry): Bound;
}) {
  return {
    shape: (_inputs: readonly [], params: Params<P>) => rule.shape(params),
    flops: () => 0n,
    isView: false,
    region: () => undefined,
    bound: (_inputs: readonly [], node: NodeOf<P>, arithmetic: DtypeEntry) => rule.bound(node, arithmetic),
    jvp: () => undefined,
    vjp: () => [] as const,
  };
}

/** Family of the linear functions of one input: a tangent goes the way of the value. */
export function linear<P extends NameWith<readonly [Node]>>(rule: {
  shape(inputs: readonly [Shape]): Shape;
  flops(inputs: readonly [Shape], result: Shape): bigint;
  readonly isView: boolean;
  region(node: NodeOf<P>, region: Region): readonly [Region] | undefined;
  bound(inputs: readonly [Bound], node: NodeOf<P>, arithmetic: DtypeEntry): Bound;
  apply(build: Builder, input: Node): Node;
  adjoint(build: Builder, g: Node): Node;
}) {
  const { apply, adjoint, ...common } = rule;
  return {
    ...common,
    jvp: (build: Builder, _node: NodeOf<P>, [tangent]: readonly [Node | undefined]) =>
      tangent === undefined ? undefined : apply(build, tangent),
    vjp: (build: Builder, _node: NodeOf<P>, g: Node) => [() => adjoint(build, g)] as const,
  };
}

type TwoShapes = readonly [Shape, Shape];
type TwoTangents = readonly [Node | undefined, Node | undefined];

/** Family of the products. d(a∘b) = da∘b + a∘db, and the adjoints are those of ∘b and of a∘. */
export function bilinear<P extends NameWith<readonly [Node, Node]>>(rule: {
  shape(inputs: TwoShapes): Shape;
  flops(inputs: TwoShapes, result: Shape): bigint;
  region(node: NodeOf<P>, region: Region): readonly [Region, Region] | undefined;
  products(inputs: TwoShapes): Products;
  apply(build: Builder, a: Node, b: Node): Node;
  adjointLeft(build: Builder, g: Node, a: Node, b: Node): Node;
  adjointRight(build: Builder, g: Node, a: Node, b: Node): Node;
}) {
  const { shape, flops, region, products, apply, adjointLeft, adjointRight } = rule;
  return {
    shape,
    flops,
    isView: false,
    region,
    bound: ([a, b]: readonly [Bound, Bound], node: NodeOf<P>, arithmetic: DtypeEntry) => {
      const [left, right] = node.inputs;
      return boundProduct(a, b, products([left.shape, right.shape]), node.shape, arithmetic);
    },
    jvp: (build: Builder, node: NodeOf<P>, [da, db]: TwoTangents) => {
      const [a, b] = node.inputs;
      const throughLeft = da === undefined ? undefined : apply(build, da, b);
      const throughRight = db === undefined ? undefined : apply(build, a, db);
      return addTangents(build, throughLeft, throughRight);
    },
    vjp: (build: Builder, node: NodeOf<P>, g: Node) => {
      const [a, b] = node.inputs;
      return [() => adjointLeft(build, g, a, b), () => adjointRight(build, g, a, b)] as const;
    },
  };
}
