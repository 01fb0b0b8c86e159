// Syntax and the shapes of its names → graph. Here `*` gets its meaning: the matrix product where inner dimensions
// agree, else a scaling where a factor is 1×1. What does not fit is the client's fault and is told with both shapes.

import { assert } from '../assert.ts';
import { FrechetError } from '../errors.ts';
import { build, type Node } from './graph.ts';
import { type Syntax, type SyntaxNode, sourceOf } from './parse.ts';
import { formatShape, isScalar, type Shape, sameShape } from './shape.ts';

/**
 * The graph of an expression whose names have these shapes.
 * @throws operand-missing where a name has no shape; shape-mismatch; job-too-large where a side cannot be counted
 */
export function buildGraph(syntax: Syntax, shapes: ReadonlyMap<string, Shape>): Node {
  const built: Node[] = [];
  for (const node of syntax.nodes) built.push(buildNode(node));
  return at(syntax.nodes.length - 1);

  function at(index: number): Node {
    const node = built[index];
    assert(node !== undefined, 'syntax is in postfix order');
    return node;
  }

  function buildNode(node: SyntaxNode): Node {
    switch (node.kind) {
      case 'name':
        return build.input(node.name, 'operand', shapeOf(node.name, shapes));
      case 'number':
        return build.constant(node.value);
      case 'negation':
        return build.negate(at(node.operand));
      case 'transpose':
        return build.transpose(at(node.operand));
      case 'product':
        return buildProduct(at(node.left), at(node.right), () => sourceOf(syntax, node));
      case 'sum':
      case 'difference': {
        const [left, right] = [at(node.left), at(node.right)];
        if (!sameShape(left.shape, right.shape))
          throw mismatch(node.kind, left, right, sourceOf(syntax, node));
        return build.add(left, node.kind === 'sum' ? right : build.negate(right));
      }
    }
  }
}

function shapeOf(name: string, shapes: ReadonlyMap<string, Shape>): Shape {
  const shape = shapes.get(name);
  if (shape === undefined) throw new FrechetError('operand-missing', `The operand ${name} is missing.`);
  return shape;
}

function buildProduct(left: Node, right: Node, source: () => string): Node {
  // A number always scales: 2*x' is no product of a 1×1 matrix with a row.
  if (left.primitive === 'constant') return build.scale(left, right);
  if (right.primitive === 'constant') return build.scale(right, left);
  if (left.shape.cols === right.shape.rows) return build.matmul(left, right);
  if (isScalar(left.shape)) return build.scale(left, right);
  if (isScalar(right.shape)) return build.scale(right, left);
  throw mismatch('product', left, right, source());
}

const DEMANDS = {
  sum: 'summands need the same shape',
  difference: 'summands need the same shape',
  product: 'the columns of the left factor must be as many as the rows of the right one',
} as const;

const SOURCE_CHARACTERS_MAX = 120;

function mismatch(kind: keyof typeof DEMANDS, left: Node, right: Node, source: string): FrechetError {
  const shown =
    source.length <= SOURCE_CHARACTERS_MAX ? source : `${source.slice(0, SOURCE_CHARACTERS_MAX)}…`;
  const shapes = `${formatShape(left.shape)} and ${formatShape(right.shape)}`;
  return new FrechetError('shape-mismatch', `In "${shown}" the shapes are ${shapes}: ${DEMANDS[kind]}.`);
}
