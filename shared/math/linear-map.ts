// The normal form of a map that is linear in a matrix H: a sum of terms c·s·L·H·R, with Hᵀ in place of H where
// `transposed`, and (L·H·R)·M where L·H·R is 1×1. From it come the differential, the adjoint and the Jacobian, each as
// a graph. Inner products with H have no place in it: no expression of the grammar makes one.

import { AssertionError, assert } from '../assert.ts';
import { build, type Node, topologicalOrder } from './graph.ts';
import { foldCoefficients } from './scalars.ts';
import { elementCount, isScalar, type Shape } from './shape.ts';

/** One term. A factor that is absent is an identity. */
export interface Term {
  readonly coefficient: number;
  /** 1×1 factors. */
  readonly scalars: readonly Node[];
  readonly left: Node | undefined;
  readonly transposed: boolean;
  readonly right: Node | undefined;
  /** M in (L·H·R)·M, where L·H·R is 1×1. */
  readonly outer: Node | undefined;
}

export interface LinearMap {
  /** Shape of H. */
  readonly domain: Shape;
  /** Shape of the value. */
  readonly codomain: Shape;
  readonly terms: readonly Term[];
}

/** The normal form of `differential`, a graph that is linear in the node `direction`. */
export function linearMap(differential: Node, direction: Node): LinearMap {
  const identity: Term = {
    coefficient: 1,
    scalars: [],
    left: undefined,
    transposed: false,
    right: undefined,
    outer: undefined,
  };
  const termsOf = new Map<Node, readonly Term[]>([[direction, [identity]]]);
  for (const node of topologicalOrder([differential])) {
    if (node === direction || !node.inputs.some(input => termsOf.has(input))) continue;
    termsOf.set(node, mergeTerms(expand(node, termsOf), isScalar(direction.shape)));
  }
  return {
    domain: direction.shape,
    codomain: differential.shape,
    terms: termsOf.get(differential) ?? [],
  };
}

/** The terms of a node from those of its inputs; an input without terms does not depend on the direction. */
function expand(node: Node, termsOf: ReadonlyMap<Node, readonly Term[]>): readonly Term[] {
  switch (node.primitive) {
    case 'add':
      return node.inputs.flatMap(input => termsOf.get(input) ?? []);
    case 'transpose':
      return (termsOf.get(node.inputs[0]) ?? []).map(transposeTerm);
    case 'matmul': {
      const [a, b] = node.inputs;
      const throughLeft = termsOf.get(a);
      const throughRight = termsOf.get(b);
      assert(throughLeft === undefined || throughRight === undefined, 'the map is linear in the direction');
      return (
        throughLeft?.map(term => multiplyRight(term, b)) ??
        throughRight?.map(term => multiplyLeft(a, term)) ??
        []
      );
    }
    case 'scale': {
      const [s, a] = node.inputs;
      const throughScalar = termsOf.get(s);
      const throughMatrix = termsOf.get(a);
      assert(
        throughScalar === undefined || throughMatrix === undefined,
        'the map is linear in the direction',
      );
      return (
        throughScalar?.map(term => spread(term, a)) ?? throughMatrix?.map(term => scaleTerm(s, term)) ?? []
      );
    }
    default:
      throw new AssertionError(`the normal form has no place for ${node.primitive}`);
  }
}

function multiplyLeft(a: Node, term: Term): Term {
  if (term.outer !== undefined) return { ...term, outer: build.matmul(a, term.outer) };
  return { ...term, left: term.left === undefined ? a : build.matmul(a, term.left) };
}

function multiplyRight(term: Term, b: Node): Term {
  if (term.outer !== undefined) return { ...term, outer: build.matmul(term.outer, b) };
  return { ...term, right: term.right === undefined ? b : build.matmul(term.right, b) };
}

function transposeTerm(term: Term): Term {
  if (term.outer !== undefined) return { ...term, outer: build.transpose(term.outer) };
  return {
    ...term,
    left: transposeFactor(term.right),
    transposed: !term.transposed,
    right: transposeFactor(term.left),
  };
}

function scaleTerm(s: Node, term: Term): Term {
  const coefficient =
    s.primitive === 'constant' ? foldCoefficients(s.params.value, term.coefficient) : undefined;
  return coefficient === undefined ? { ...term, scalars: [...term.scalars, s] } : { ...term, coefficient };
}

/** (the 1×1 term)·m */
function spread(term: Term, m: Node): Term {
  if (term.outer === undefined) return { ...term, outer: m };
  return { ...term, scalars: [...term.scalars, term.outer], outer: m };
}

/**
 * Terms with equal factors become one. Only where coefficients have one sign: W − W keeps both terms, so that an
 * infinite W gives NaN and not zero.
 */
function mergeTerms(terms: readonly Term[], domainIsScalar: boolean): Term[] {
  const merged: Term[] = [];
  const places = new FactorIndex();
  for (const given of terms) {
    const term = domainIsScalar ? { ...given, transposed: false } : given;
    const place = places.placeOf(term, merged.length);
    const coefficient = (merged[place]?.coefficient ?? 0) + term.coefficient;
    if (place === merged.length || !Number.isFinite(coefficient)) merged.push(term);
    else merged[place] = { ...term, coefficient };
  }
  return merged;
}

/** Finds terms by their factors. Nodes are hash-consed, so a number for each node makes a key. */
class FactorIndex {
  readonly #numbers = new Map<Node | undefined, number>();
  readonly #places = new Map<string, number>();

  /** The place where a term with these factors and this sign is; `next`, and remembered, if there is none. */
  placeOf(term: Term, next: number): number {
    const factors = [term.left, term.right, term.outer, ...term.scalars].map(node => this.#numberOf(node));
    const key = `${term.coefficient < 0} ${term.transposed} ${factors.join(' ')}`;
    const place = this.#places.get(key) ?? next;
    this.#places.set(key, place);
    return place;
  }

  #numberOf(node: Node | undefined): number {
    const number = this.#numbers.get(node) ?? this.#numbers.size;
    this.#numbers.set(node, number);
    return number;
  }
}

/** H ↦ Σ c·s·L·H·R, the map itself. */
export function differentialOf(map: LinearMap, direction: Node): Node {
  return sum(
    map.terms.map(term => {
      const h = term.transposed ? build.transpose(direction) : direction;
      const product = productOf([term.left, h, term.right]) ?? h;
      return scaled(term, term.outer === undefined ? product : build.scale(product, term.outer));
    }),
  );
}

/** G ↦ Σ c·s·Lᵀ·G·Rᵀ, transposed where H is; with an outer factor G enters through ⟨M, G⟩. */
export function adjointOf(map: LinearMap, cotangent: Node): Node {
  return sum(
    map.terms.map(term => {
      const [left, right] = term.transposed
        ? [term.right, term.left]
        : [transposeFactor(term.left), transposeFactor(term.right)];
      if (term.outer === undefined) {
        const g = term.transposed ? build.transpose(cotangent) : cotangent;
        return scaled(term, productOf([left, g, right]) ?? g);
      }
      const amount = build.inner(term.outer, cotangent);
      const spreadOver = productOf([left, right]);
      return scaled(term, spreadOver === undefined ? amount : build.scale(amount, spreadOver));
    }),
  );
}

/** J with vec(dF(H)) = J·vec(H): Σ c·s·(Rᵀ ⊗ L), with columns permuted where H is transposed. */
export function jacobianOf(map: LinearMap): Node {
  return sum(
    map.terms.map(term => {
      const functional = kroneckerOf(term, map.domain);
      if (term.outer === undefined) return scaled(term, functional ?? build.identity(1));
      const column = build.vec(term.outer);
      return scaled(term, functional === undefined ? column : build.matmul(column, functional));
    }),
  );
}

/** Rᵀ ⊗ L, where a factor I₁ is left away; undefined where nothing but the number 1 remains. */
function kroneckerOf({ left, right, transposed }: Term, domain: Shape): Node | undefined {
  const isVector = domain.rows === 1 || domain.cols === 1;
  const [rows, cols] = transposed ? [domain.cols, domain.rows] : [domain.rows, domain.cols];
  const rightTransposed = transposeFactor(right);
  // vec(Hᵀ) = vec(H) for a vector, so nothing is permuted.
  const swap = transposed && !isVector;
  if (left === undefined && rightTransposed === undefined && !swap) {
    return isScalar(domain) ? undefined : build.identity(Number(elementCount(domain)));
  }
  if (left === undefined && rows === 1) return rightTransposed;
  if (rightTransposed === undefined && cols === 1) return left;
  return build.kron(rightTransposed ?? build.identity(cols), left ?? build.identity(rows), swap);
}

function transposeFactor(factor: Node | undefined): Node | undefined {
  if (factor === undefined) return undefined;
  return factor.primitive === 'transpose' ? factor.inputs[0] : build.transpose(factor);
}

function productOf(factors: readonly (Node | undefined)[]): Node | undefined {
  const present = factors.filter(factor => factor !== undefined);
  return present.length === 0
    ? undefined
    : present.reduce((product, factor) => build.matmul(product, factor));
}

function scaled({ coefficient, scalars }: Term, node: Node): Node {
  const withScalars = scalars.reduceRight((scaledNode, s) => build.scale(s, scaledNode), node);
  return coefficient === 1 ? withScalars : build.scale(build.constant(coefficient), withScalars);
}

function sum(nodes: readonly Node[]): Node {
  assert(nodes.length > 0, 'a map that is zero has no graph');
  return nodes.reduce((total, node) => build.add(total, node));
}
