// The exact oracle: graphs over matrices of whole numbers of any size, so that a float64 result can be held against
// what it should have been. Constants of the expression must be whole numbers too.

import { assert } from '../../shared/assert.ts';
import { type Node, topologicalOrder } from '../../shared/math/graph.ts';

/** By rows. */
export type ExactMatrix = readonly (readonly bigint[])[];

export function exactMatrix(
  rows: number,
  cols: number,
  element: (i: number, j: number) => bigint,
): ExactMatrix {
  return Array.from({ length: rows }, (_, i) => Array.from({ length: cols }, (__, j) => element(i, j)));
}

export function evaluateExactly(root: Node, inputs: Readonly<Record<string, ExactMatrix>>): ExactMatrix {
  const values = new Map<Node, ExactMatrix>();
  for (const node of topologicalOrder([root])) {
    const operands = node.inputs.map(input => values.get(input)!); // inputs come first
    values.set(node, evaluateNode(node, operands, inputs));
  }
  return values.get(root)!;
}

function evaluateNode(
  node: Node,
  [a, b]: readonly ExactMatrix[],
  inputs: Readonly<Record<string, ExactMatrix>>,
): ExactMatrix {
  const { rows, cols } = node.shape;
  const make = (element: (i: number, j: number) => bigint) => exactMatrix(rows, cols, element);
  switch (node.primitive) {
    case 'input':
      return inputs[node.params.name]!;
    case 'constant':
      return [[BigInt(node.params.value)]];
    case 'identity':
      return make((i, j) => (i === j ? 1n : 0n));
    case 'matmul':
      return make((i, j) => a![i]!.reduce((sum, value, k) => sum + value * b![k]![j]!, 0n));
    case 'add':
      return make((i, j) => a![i]![j]! + b![i]![j]!);
    case 'scale':
      return make((i, j) => a![0]![0]! * b![i]![j]!);
    case 'transpose':
      return make((i, j) => a![j]![i]!);
    case 'slice':
      return make((i, j) => a![node.params.rows[0] + i]![node.params.cols[0] + j]!);
    case 'vec':
      return make(i => a![i % a!.length]![Math.floor(i / a!.length)]!);
    case 'kron': {
      assert(!node.params.swap, 'the oracle knows no swapped Kronecker product');
      const [height, width] = [b!.length, b![0]!.length];
      return make(
        (i, j) => a![Math.floor(i / height)]![Math.floor(j / width)]! * b![i % height]![j % width]!,
      );
    }
    default:
      assert(false, `the oracle knows no ${node.primitive}`);
  }
}
