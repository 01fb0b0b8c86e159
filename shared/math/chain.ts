// Chains of products, A·B·C·…: the value is one, the cost depends on where the parentheses stand. The order with the
// least flops is found by dynamic programming (Cormen et al., Introduction to Algorithms, §15.2 of the third edition).
// Ties go to the leftmost association, so that the order depends on the graph alone.

import { assert } from '../assert.ts';
import { dependsOnStack, flopsOf } from './cost.ts';
import { build, type Node, placeOf, rebuild, topologicalOrder } from './graph.ts';

/** Steps of the dynamic programme (factors³ summed over chains) that looking through shared products may cost. */
const CHAIN_STEPS_MAX = 20_000_000;

/**
 * Re-associates products to the least flops. A product with several users is either kept, or dissolved into the
 * chain of each; both are tried and the cheaper whole wins.
 */
export function reassociate(roots: readonly Node[], members: number): Node[] {
  const kept = associateChains(roots, members, sharedProducts(roots));
  if (chainSteps(roots) > CHAIN_STEPS_MAX) return kept;
  const dissolved = associateChains(roots, members, new Set());
  return flopsOf(dissolved, members) < flopsOf(kept, members) ? dissolved : kept;
}

/** Products that more than one place uses. */
function sharedProducts(roots: readonly Node[]): ReadonlySet<Node> {
  const uses = new Map<Node, number>();
  const users = topologicalOrder(roots).map(node => node.inputs);
  for (const used of [...users, roots].flat()) uses.set(used, (uses.get(used) ?? 0) + 1);
  return new Set(
    [...uses].flatMap(([node, count]) => (count > 1 && node.primitive === 'matmul' ? [node] : [])),
  );
}

/** An upper bound on the steps that chains through shared products would cost. */
function chainSteps(roots: readonly Node[]): number {
  const lengths = new Map<Node, number>();
  let steps = 0;
  for (const node of topologicalOrder(roots)) {
    if (node.primitive !== 'matmul') continue;
    const length = node.inputs.reduce((total, input) => total + (lengths.get(input) ?? 1), 0);
    lengths.set(node, length);
    steps += length ** 3;
  }
  return steps;
}

/** Rebuilds every maximal chain; one ends at `kept` products and at whatever is no product. */
function associateChains(roots: readonly Node[], members: number, kept: ReadonlySet<Node>): Node[] {
  const order = topologicalOrder(roots);
  const dependent = dependsOnStack(roots);
  const heads = chainHeads(roots, order, kept);
  const places = new Map<Node, Node>();
  for (const node of order) {
    if (node.primitive !== 'matmul') {
      const inputs = node.inputs.map(input => placeOf(places, input));
      places.set(node, rebuild(node, inputs));
    } else if (heads.has(node)) {
      const factors = factorsOf(node, kept);
      const weights = factors.map(factor => dependent.has(factor));
      places.set(
        node,
        associate(
          factors.map(factor => placeOf(places, factor)),
          weights,
          members,
        ),
      );
    }
  }
  return roots.map(root => placeOf(places, root));
}

/** The products at which a chain begins: kept ones, and those that something other than a product uses. */
function chainHeads(
  roots: readonly Node[],
  order: readonly Node[],
  kept: ReadonlySet<Node>,
): ReadonlySet<Node> {
  const heads = new Set<Node>([...kept, ...roots]);
  for (const node of order) {
    if (node.primitive !== 'matmul') for (const input of node.inputs) heads.add(input);
  }
  return heads;
}

function factorsOf(head: Node, kept: ReadonlySet<Node>): Node[] {
  const factors: Node[] = [];
  const pending: Node[] = [head];
  for (let node = pending.pop(); node !== undefined; node = pending.pop()) {
    const isInside = node.primitive === 'matmul' && (node === head || !kept.has(node));
    if (isInside) pending.push(...node.inputs.toReversed());
    else factors.push(node);
  }
  return factors;
}

/**
 * The product of `factors` in the cheapest order. A product into which a factor marked `dependent` goes is computed
 * `members` times.
 */
function associate(factors: readonly Node[], dependent: readonly boolean[], members: number): Node {
  const count = factors.length;
  const splits = cheapestSplits(factors, dependent, members);
  // Intervals from the whole down to single factors; backwards, parts come before what is made of them.
  const intervals: [first: number, last: number][] = [[0, count - 1]];
  for (let i = 0; i < intervals.length; i += 1) {
    const [first, last] = intervals[i]!; // i is within
    const split = splits[first * count + last]!; // so is every interval
    if (first < last) intervals.push([first, split], [split + 1, last]);
  }
  const products = new Map<number, Node>();
  for (const [first, last] of intervals.reverse()) {
    const split = splits[first * count + last]!;
    const product =
      first === last
        ? factors[first]
        : build.matmul(
            placeAt(products, first * count + split),
            placeAt(products, (split + 1) * count + last),
          );
    assert(product !== undefined, 'an interval lies within the chain');
    products.set(first * count + last, product);
  }
  return placeAt(products, count - 1);
}

function placeAt(products: ReadonlyMap<number, Node>, interval: number): Node {
  const product = products.get(interval);
  assert(product !== undefined, 'parts of a chain come before the whole');
  return product;
}

/** For each interval [first, last], at first·count + last, the last factor of its left part. O(count³); O(count²) for a power. */
function cheapestSplits(
  factors: readonly Node[],
  dependent: readonly boolean[],
  members: number,
): Int32Array {
  const count = factors.length;
  const sides = [factors[0]!.shape.rows, ...factors.map(factor => factor.shape.cols)];
  const dependentBefore = [0];
  for (const isDependent of dependent) dependentBefore.push(dependentBefore.at(-1)! + Number(isDependent));
  const { starts, lengths } = laterRuns(sides, dependent);
  const costs = new Float64Array(count * count); // numbers, not bigints: this compares, it doesn't account
  const splits = new Int32Array(count * count);
  for (let first = count - 2; first >= 0; first -= 1) {
    for (let last = first + 1; last < count; last += 1) {
      const at = first * count + last;
      if (last - first < lengths[first]!) {
        const shift = starts[first]! - first;
        const like = at + shift * count + shift;
        costs[at] = costs[like]!;
        splits[at] = splits[like]! - shift;
        continue;
      }
      const times = dependentBefore[last + 1]! > dependentBefore[first]! ? members : 1;
      const outer = sides[first]! * sides[last + 1]! * times;
      let best = Number.POSITIVE_INFINITY;
      let bestSplit = last - 1;
      for (let split = last - 1; split >= first; split -= 1) {
        const parts = costs[first * count + split]! + costs[(split + 1) * count + last]!;
        const total = parts + outer * sides[split + 1]!;
        if (total < best) {
          best = total;
          bestSplit = split;
        }
      }
      costs[at] = best;
      splits[at] = bestSplit;
    }
  }
  return splits;
}

/**
 * For each factor, where after it the longest run of factors with the same shapes begins as begins at it, and its
 * length: what was found for an interval of the one is true of the other. W·W·…·W is one such run.
 */
function laterRuns(
  sides: readonly number[],
  dependent: readonly boolean[],
): { readonly starts: Int32Array; readonly lengths: Int32Array } {
  const count = dependent.length;
  const starts = new Int32Array(count);
  const lengths = new Int32Array(count);
  const isAlike = (a: number, b: number) =>
    sides[a] === sides[b] && sides[a + 1] === sides[b + 1] && dependent[a] === dependent[b];
  for (let shift = 1; shift < count; shift += 1) {
    let length = 0;
    for (let first = count - 1 - shift; first >= 0; first -= 1) {
      length = isAlike(first, first + shift) ? length + 1 : 0;
      if (length <= lengths[first]!) continue;
      starts[first] = first + shift;
      lengths[first] = length;
    }
  }
  return { starts, lengths };
}
