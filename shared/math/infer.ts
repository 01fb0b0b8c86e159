// The shape of one name, found from the form of the expression: each sub-expression has two dimensions, the operators
// equate them, and union-find tells what becomes known. A product with a name of unknown shape is taken for the
// matrix product; whether it might have been a scaling is deliberately not searched.

import { assert } from '../assert.ts';
import type { Syntax, SyntaxNode } from './parse.ts';
import { type Shape, shape } from './shape.ts';

/** A class of dimensions that are equal; the representative knows their size. */
interface Dimension {
  parent: Dimension | undefined;
  size: number | undefined;
}

interface Dimensions {
  readonly rows: Dimension;
  readonly cols: Dimension;
}

/**
 * The shape of `unknownName`, where the shapes of the other names and, if given, that of the whole expression
 * determine it; undefined where they don't, or contradict each other.
 */
export function inferShape(
  syntax: Syntax,
  known: ReadonlyMap<string, Shape>,
  unknownName: string,
  resultShape?: Shape,
): Shape | undefined {
  const unknown = { rows: dimension(), cols: dimension() };
  const dimensions: Dimensions[] = [];
  let consistent = true;
  for (const node of syntax.nodes) dimensions.push(dimensionsOf(node));
  if (resultShape !== undefined) equate(at(dimensions.length - 1), fixed(resultShape));
  const [rows, cols] = [sizeOf(unknown.rows), sizeOf(unknown.cols)];
  return consistent && rows !== undefined && cols !== undefined ? shape(rows, cols) : undefined;

  function at(index: number): Dimensions {
    const found = dimensions[index];
    assert(found !== undefined, 'syntax is in postfix order');
    return found;
  }

  function dimensionsOf(node: SyntaxNode): Dimensions {
    switch (node.kind) {
      case 'name': {
        const given = known.get(node.name);
        if (node.name === unknownName) return unknown;
        return given === undefined ? { rows: dimension(), cols: dimension() } : fixed(given);
      }
      case 'number':
        return fixed(shape(1, 1));
      case 'negation':
        return at(node.operand);
      case 'transpose':
        return { rows: at(node.operand).cols, cols: at(node.operand).rows };
      case 'product':
        return product(at(node.left), at(node.right));
      case 'sum':
      case 'difference':
        equate(at(node.left), at(node.right));
        return at(node.left);
    }
  }

  function product(left: Dimensions, right: Dimensions): Dimensions {
    // A factor known to be 1×1 leaves the other's shape, as a scaling or as a product alike.
    if (isKnownScalar(left)) return right;
    if (isKnownScalar(right)) return left;
    unite(left.cols, right.rows);
    return { rows: left.rows, cols: right.cols };
  }

  function equate(a: Dimensions, b: Dimensions): void {
    unite(a.rows, b.rows);
    unite(a.cols, b.cols);
  }

  function unite(a: Dimension, b: Dimension): void {
    const [first, second] = [find(a), find(b)];
    if (first === second) return;
    if (first.size !== undefined && second.size !== undefined && first.size !== second.size)
      consistent = false;
    first.size ??= second.size;
    second.parent = first;
  }
}

function dimension(size?: number): Dimension {
  return { parent: undefined, size };
}

function fixed({ rows, cols }: Shape): Dimensions {
  return { rows: dimension(rows), cols: dimension(cols) };
}

/** The representative; halves the path on the way. */
function find(start: Dimension): Dimension {
  let current = start;
  for (let parent = current.parent; parent !== undefined; parent = current.parent) {
    if (parent.parent !== undefined) current.parent = parent.parent;
    current = parent;
  }
  return current;
}

function sizeOf(d: Dimension): number | undefined {
  return find(d).size;
}

function isKnownScalar({ rows, cols }: Dimensions): boolean {
  return sizeOf(rows) === 1 && sizeOf(cols) === 1;
}
