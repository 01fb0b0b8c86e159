// A slice of the graph has the value of the slice, and asks for no more of its inputs than it needs.

import { deepEqual, equal } from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { derive } from '../../../shared/math/derive.ts';
import { build, type Node, type Range } from '../../../shared/math/graph.ts';
import { printText } from '../../../shared/math/print.ts';
import { shape } from '../../../shared/math/shape.ts';
import { sliceGraph } from '../../../shared/math/slice.ts';
import { elementAt, evaluate, type Matrix, tabulate } from '../../support/evaluate.ts';
import { expressionText, forExpressions, graphOf, integerInputs, plainZeros } from './expressions.ts';

const shapes = new Map([
  ['A', shape(6, 4)],
  ['W', shape(4, 5)],
  ['B', shape(5, 8)],
  ['C', shape(8, 6)],
]);
const graph = (text: string) => graphOf(text, shapes);

function slice(a: Matrix, [rowStart, rowStop]: Range, [colStart, colStop]: Range): Matrix {
  return tabulate(rowStop - rowStart, colStop - colStart, (i, j) => elementAt(a, rowStart + i, colStart + j));
}

/** Every way to cut [0, size) into a range, empty ones included. */
function ranges(size: number): Range[] {
  return Array.from({ length: size + 1 }, (_, start) =>
    Array.from({ length: size + 1 - start }, (_, length): Range => [start, start + length]),
  ).flat();
}

function assertSlices(root: Node): void {
  const inputs = integerInputs([root]);
  const whole = evaluate(root, inputs);
  const all = ranges(root.shape.rows).flatMap(rows =>
    ranges(root.shape.cols).map(cols => [rows, cols] as const),
  );
  for (const [rows, cols] of all.filter((_, index) => index % Math.ceil(all.length / 40) === 0)) {
    deepEqual(
      plainZeros(evaluate(sliceGraph(root, rows, cols), inputs)),
      plainZeros(slice(whole, rows, cols)),
    );
  }
}

describe('sliceGraph', () => {
  const table: readonly (readonly [text: string, rows: Range, cols: Range, expected: string])[] = [
    ['A*W*B', [1, 3], [0, 8], 'A[1:3, 0:4]*W*B'],
    ['A*W*B', [1, 3], [2, 4], 'A[1:3, 0:4]*W*B[0:5, 2:4]'],
    ["(A*W)'", [0, 2], [1, 6], "(A[1:6, 0:4]*W[0:4, 0:2])'"],
    ["A' - W*B*C", [0, 1], [0, 6], "A[0:6, 0:1]' - W[0:1, 0:5]*B*C"],
    ["2*C'", [5, 6], [0, 8], "2*C[0:8, 5:6]'"],
    ['A', [0, 6], [0, 4], 'A'],
    ['A', [0, 0], [0, 4], 'A[0:0, 0:4]'],
    ['A*W*B*C*A', [2, 3], [0, 4], 'A[2:3, 0:4]*W*B*C*A'],
  ];
  for (const [text, rows, cols, expected] of table) {
    test(`rows ${rows} and columns ${cols} of ${text}`, () => {
      equal(printText(sliceGraph(graph(text), rows, cols)), expected);
    });
  }

  test('columns of a Jacobian stay outside its Kronecker products', () => {
    const jacobian = derive(graph('A*W*B'), 'jacobian', 'W');
    equal(printText(sliceGraph(jacobian, [0, 48], [3, 5])), "kron(B', A)[0:48, 3:5]");
    const sum = derive(graph('W + W*B*C*A*W'), 'jacobian', 'W');
    equal(printText(sliceGraph(sum, [0, 20], [3, 5])).startsWith('eye(20)[0:20, 3:5] + kron('), true);
  });

  test('a slice of a slice is one slice', () => {
    const first = sliceGraph(graph('A'), [1, 5], [1, 4]);
    equal(printText(sliceGraph(first, [1, 2], [0, 2])), 'A[2:3, 1:3]');
  });

  test('slices of any expression have the value of the slice', () => {
    forExpressions((_text, f) => assertSlices(f), 60);
  });

  test('slices of any derivative have the value of the slice', () => {
    fc.assert(
      fc.property(expressionText, fc.constantFrom('jvp', 'vjp', 'jacobian'), (text, operation) =>
        assertSlices(derive(graphOf(text), operation, 'W')),
      ),
      { numRuns: 60 },
    );
  });

  test('a deep graph is sliced without recursion, a shared node once for each region', () => {
    let node: Node = build.input('V', 'operand', shape(3, 3));
    for (let i = 0; i < 2000; i += 1) node = build.matmul(node, node);
    equal(sliceGraph(node, [0, 1], [0, 3]).shape.rows, 1);
  });
});
