// What a summand adds to a sum, as a term of a combine step: a scaled matrix, a product, columns of a Kronecker product.

import { assert } from '../../shared/assert.ts';
import type { Dtype } from '../../shared/math/dtype.ts';
import type { Node } from '../../shared/math/graph.ts';
import type { Draft, DraftTerm } from './draft.ts';
import { type Summand, structureOf } from './sums.ts';

/** Where the value of a node lies. */
export type ViewOf = (node: Node) => Draft;

export function copyOf(x: Draft): DraftTerm {
  return { kind: 'matrix', coefficient: 1, scalar: null, x };
}

/** What a summand adds, over the views of its inputs. */
export function termOf({ node, coefficient, opened }: Summand, dtype: Dtype, viewOf: ViewOf): DraftTerm {
  if (!opened) return { kind: 'matrix', coefficient, scalar: null, x: viewOf(node) };
  if (structureOf(node) !== undefined) return kronTerm(node, coefficient, viewOf);
  const [first, second] = node.inputs.map(viewOf);
  assert(first !== undefined && second !== undefined, 'products and scales have two inputs');
  // A kernel rounds α to its dtype before it multiplies, so the verification must too.
  return node.primitive === 'matmul'
    ? { kind: 'product', alpha: roundTo(dtype, coefficient), a: first, b: second }
    : { kind: 'matrix', coefficient, scalar: first, x: second };
}

export function roundTo(dtype: Dtype, value: number): number {
  return dtype === 'float32' ? Math.fround(value) : value;
}

function kronTerm(node: Node, coefficient: number, viewOf: ViewOf): DraftTerm {
  const structure = structureOf(node)!;
  if (node.primitive === 'slice') {
    const { rows } = node.params;
    assert(rows[0] === 0 && rows[1] === structure.shape.rows, 'structure is cut between columns only');
  }
  const factor = (part: Node) => ({
    ...part.shape,
    values: part.primitive === 'identity' ? null : viewOf(part),
  });
  // An identity is 1 ⊗ I.
  const [left, right] =
    structure.primitive === 'kron'
      ? [factor(structure.inputs[0]), factor(structure.inputs[1])]
      : [{ rows: 1, cols: 1, values: null }, factor(structure)];
  const firstColumn = node.primitive === 'slice' ? node.params.cols[0] : 0;
  return {
    kind: 'kron',
    coefficient,
    left,
    right,
    swap: structure.primitive === 'kron' && structure.params.swap,
    firstColumn,
  };
}
