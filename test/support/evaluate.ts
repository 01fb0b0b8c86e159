// The oracle: graphs evaluated over plain arrays of numbers, by the definitions and nothing else. Slow and obvious;
// exact wherever all numbers stay integers below 2^53.

import { assert } from '../../shared/assert.ts';
import { type Node, topologicalOrder } from '../../shared/math/graph.ts';

/** Row-major. */
export interface Matrix {
  readonly rows: number;
  readonly cols: number;
  readonly data: readonly number[];
}

export function matrix(rows: readonly (readonly number[])[]): Matrix {
  return { rows: rows.length, cols: rows[0]?.length ?? 0, data: rows.flat() };
}

/** A matrix from a function of its indices. */
export function tabulate(rows: number, cols: number, element: (i: number, j: number) => number): Matrix {
  const data: number[] = [];
  for (let i = 0; i < rows; i += 1) for (let j = 0; j < cols; j += 1) data.push(element(i, j));
  return { rows, cols, data };
}

export function elementAt({ rows, cols, data }: Matrix, i: number, j: number): number {
  const value = i < rows && j < cols ? data[i * cols + j] : undefined;
  assert(value !== undefined, `(${i}, ${j}) lies in a ${rows}×${cols} matrix with all its data`);
  return value;
}

/**
 * The value of `root`; `inputs` holds the matrix of each input by its name. `round` is applied to the outcome of every
 * operation: with Math.fround the arithmetic is float32.
 */
export function evaluate(
  root: Node,
  inputs: Readonly<Record<string, Matrix>>,
  round: (value: number) => number = value => value,
): Matrix {
  const values = new Map<Node, Matrix>();
  for (const node of topologicalOrder([root])) {
    const value = evaluateNode(node, node.inputs.map(lookUp), inputs, round);
    assert(
      value.rows === node.shape.rows && value.cols === node.shape.cols,
      `${node.primitive} has the shape its rule says`,
    );
    values.set(node, value);
  }
  return lookUp(root);

  function lookUp(node: Node): Matrix {
    const value = values.get(node);
    assert(value !== undefined, 'inputs come before their users');
    return value;
  }
}

function evaluateNode(
  node: Node,
  values: readonly Matrix[],
  inputs: Readonly<Record<string, Matrix>>,
  round: (value: number) => number,
): Matrix {
  const { rows, cols } = node.shape;
  const [a, b] = values as readonly [Matrix, Matrix]; // as many as the primitive has inputs
  switch (node.primitive) {
    case 'input': {
      const given = inputs[node.params.name];
      assert(given !== undefined, `a value for ${node.params.name} is given`);
      return given;
    }
    case 'constant':
      return matrix([[round(node.params.value)]]);
    case 'identity':
      return tabulate(rows, cols, (i, j) => (i === j ? 1 : 0));
    case 'matmul':
      return tabulate(rows, cols, (i, j) => sum(a.cols, k => round(elementAt(a, i, k) * elementAt(b, k, j))));
    case 'add':
      return tabulate(rows, cols, (i, j) => round(elementAt(a, i, j) + elementAt(b, i, j)));
    case 'scale':
      return tabulate(rows, cols, (i, j) => round(elementAt(a, 0, 0) * elementAt(b, i, j)));
    case 'transpose':
      return tabulate(rows, cols, (i, j) => elementAt(a, j, i));
    case 'inner':
      return matrix([[sum(a.rows, i => sum(a.cols, j => round(elementAt(a, i, j) * elementAt(b, i, j))))]]);
    case 'slice': {
      const [rowStart] = node.params.rows;
      const [colStart] = node.params.cols;
      return tabulate(rows, cols, (i, j) => elementAt(a, rowStart + i, colStart + j));
    }
    case 'kron':
      return tabulate(rows, cols, (i, j) => round(kronElement(a, b, node.params.swap, i, j)));
    case 'vec':
      return tabulate(rows, cols, i => elementAt(a, i % a.rows, Math.floor(i / a.rows)));
  }

  function sum(count: number, term: (index: number) => number): number {
    let total = 0;
    for (let index = 0; index < count; index += 1) total = round(total + term(index));
    return total;
  }
}

function kronElement(a: Matrix, b: Matrix, swap: boolean, i: number, j: number): number {
  const [row, rowInside] = [Math.floor(i / b.rows), i % b.rows];
  const [col, colInside] = swap ? [j % a.cols, Math.floor(j / a.cols)] : [Math.floor(j / b.cols), j % b.cols];
  return elementAt(a, row, col) * elementAt(b, rowInside, colInside);
}
