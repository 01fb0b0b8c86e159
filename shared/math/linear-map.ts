// The normal form of a map that is linear in a matrix H: a sum of terms c·s·L·H·R, with Hᵀ in place of H where
// `transposed`, and (L·H·R)·M where L·H·R is 1×1. From it come the differential, the adjoint and the Jacobian, each as
// a graph. Inner products with H have no place in it: no expression of the grammar makes one.

import { AssertionError, assert } from '../assert.ts';
import { build, type Node, topologicalOrder } from './graph.ts';
import { addCoefficients, foldConstant } from './scalars.ts';
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

/** What stands around a node of the differential on the way to the direction; at the direction, a term. */
interface Visit {
  readonly node: Node;
  readonly around: Term;
}

const NOTHING_AROUND: Term = {
  coefficient: 1,
  scalars: [],
  left: undefined,
  transposed: false,
  right: undefined,
  outer: undefined,
};

/**
 * The normal form of `differential`, a graph that is linear in the node `direction`: one term for each path from
 * the one to the other, in the order of the text. An expression has no more of them than occurrences of W.
 */
export function linearMap(differential: Node, direction: Node): LinearMap {
  const dependent = dependents(differential, direction);
  const terms: Term[] = [];
  const pending: Visit[] = dependent.has(differential)
    ? [{ node: differential, around: NOTHING_AROUND }]
    : [];
  for (let visit = pending.pop(); visit !== undefined; visit = pending.pop()) {
    if (visit.node === direction) terms.push(visit.around);
    else pending.push(...descend(visit, dependent).reverse());
  }
  return {
    domain: direction.shape,
    codomain: differential.shape,
    terms: mergeTerms(terms, isScalar(direction.shape)),
  };
}

function dependents(root: Node, source: Node): ReadonlySet<Node> {
  const dependent = new Set([source]);
  for (const node of topologicalOrder([root])) {
    if (node.inputs.some(input => dependent.has(input))) dependent.add(node);
  }
  return dependent;
}

/** The inputs of a node that depend on the direction, each with what then stands around it. */
function descend({ node, around }: Visit, dependent: ReadonlySet<Node>): Visit[] {
  switch (node.primitive) {
    case 'add':
      return node.inputs.filter(input => dependent.has(input)).map(input => ({ node: input, around }));
    case 'transpose':
      return [{ node: node.inputs[0], around: { ...around, transposed: !around.transposed } }];
    case 'matmul': {
      const [a, b] = node.inputs;
      assertOneSided(a, b, dependent);
      return [
        dependent.has(a)
          ? { node: a, around: withRight(around, b) }
          : { node: b, around: withLeft(around, a) },
      ];
    }
    case 'scale': {
      const [s, a] = node.inputs;
      assertOneSided(s, a, dependent);
      return [
        dependent.has(s)
          ? { node: s, around: withOuter(around, a) }
          : { node: a, around: withScalar(around, s) },
      ];
    }
    default:
      throw new AssertionError(`the normal form has no place for ${node.primitive}`);
  }
}

function assertOneSided(a: Node, b: Node, dependent: ReadonlySet<Node>): void {
  assert(!(dependent.has(a) && dependent.has(b)), 'the map is linear in the direction');
}

/** L·(A·X)·R = (L·A)·X·R, and L·(A·X)ᵀ·R = L·Xᵀ·(Aᵀ·R). */
function withLeft(around: Term, a: Node): Term {
  return around.transposed
    ? { ...around, right: prepend(build.transpose(a), around.right) }
    : { ...around, left: append(around.left, a) };
}

/** L·(X·B)·R = L·X·(B·R), and L·(X·B)ᵀ·R = (L·Bᵀ)·Xᵀ·R. */
function withRight(around: Term, b: Node): Term {
  return around.transposed
    ? { ...around, left: append(around.left, build.transpose(b)) }
    : { ...around, right: prepend(b, around.right) };
}

function withScalar(around: Term, s: Node): Term {
  const coefficient = foldConstant(around.coefficient, s);
  return coefficient === undefined
    ? { ...around, scalars: [...around.scalars, s] }
    : { ...around, coefficient };
}

/** L·(x·M)·R = x·(L·M·R) for a 1×1 x: what stood around is spread by x now, or is one more 1×1 factor. */
function withOuter(around: Term, m: Node): Term {
  const middle = append(around.left, around.transposed ? build.transpose(m) : m);
  const spread = around.right === undefined ? middle : build.matmul(middle, around.right);
  const bare = { ...around, left: undefined, transposed: false, right: undefined };
  return around.outer === undefined
    ? { ...bare, outer: spread }
    : { ...bare, scalars: [...around.scalars, spread] };
}

function prepend(a: Node, factor: Node | undefined): Node {
  return factor === undefined ? a : build.matmul(a, factor);
}

function append(factor: Node | undefined, b: Node): Node {
  return factor === undefined ? b : build.matmul(factor, b);
}

/**
 * Terms with equal factors become one, where their coefficients have one sign and their sum is exact: 2W − W and 2W + 0·W keep both terms,
 * for they are NaN where W is infinite, and W is not.
 */
function mergeTerms(terms: readonly Term[], domainIsScalar: boolean): Term[] {
  const merged: Term[] = [];
  const places = new FactorIndex();
  for (const given of terms) {
    const term = domainIsScalar ? { ...given, transposed: false } : given;
    const place = places.placeOf(term, merged.length);
    const coefficient = addCoefficients(merged[place]?.coefficient ?? 0, term.coefficient);
    if (place === merged.length || coefficient === undefined) merged.push(term);
    else merged[place] = { ...term, coefficient };
  }
  return merged;
}

/** Finds terms by factors and sign. Nodes are hash-consed, so a number for each node makes a key. */
class FactorIndex {
  readonly #numbers = new Map<Node | undefined, number>();
  readonly #places = new Map<string, number>();

  /** The place where a term with these factors and this sign is; `next`, and remembered, if there is none. */
  placeOf(term: Term, next: number): number {
    const factors = [term.left, term.right, term.outer, ...term.scalars].map(node => this.#numberOf(node));
    const key = `${Math.sign(term.coefficient)} ${term.transposed} ${factors.join(' ')}`;
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
