import assert from 'node:assert/strict';
import { test } from 'node:test';
import { valuesInRowOrder } from '../../../shared/io/row-order.ts';
import { pieces } from './streams.ts';

const SHAPES = [
  [],
  [5],
  [1, 7],
  [7, 1],
  [3, 4],
  [5, 3],
  [2, 3, 4],
  [4, 1, 3],
  [1, 5, 2],
  [3, 5, 1],
  [0, 3],
  [3, 0],
  [2, 0, 3],
];

/** The storage position of a row-ordered element, by the definition of either order. */
function stored(shape: readonly number[], order: 'C' | 'F', index: number): number {
  const axes = shape.map((_, axis) => axis);
  const coordinates = new Map<number, number>();
  let rest = index;
  for (const axis of [...axes].reverse()) {
    coordinates.set(axis, rest % shape[axis]!);
    rest = Math.floor(rest / shape[axis]!);
  }
  const slowestFirst = order === 'C' ? axes : [...axes].reverse();
  return slowestFirst.reduce((position, axis) => position * shape[axis]! + coordinates.get(axis)!, 0);
}

test('values come in row order, whatever order, piece size and panel size', async () => {
  for (const shape of SHAPES) {
    const length = shape.reduce((a, b) => a * b, 1);
    for (const order of ['C', 'F'] as const) {
      for (const dtype of ['float64', 'float32'] as const) {
        const positions = Array.from({ length }, (_, position) => position);
        const data = new Uint8Array(
          (dtype === 'float64' ? new Float64Array(positions) : new Float32Array(positions)).buffer,
        );
        const wanted = positions.map(index => stored(shape, order, index));
        for (const pieceBytes of [1, 3, 8, 20, 1000]) {
          for (const panelBytes of [1, 24, 56, 4096]) {
            const read = (start: number, stop: number) => pieces(data.subarray(start, stop), pieceBytes);
            const found: number[] = [];
            for await (const values of valuesInRowOrder({ shape, dtype, order }, read, panelBytes)) {
              assert.ok(order === 'C' || values.byteLength <= Math.max(8, panelBytes));
              found.push(...values);
            }
            assert.deepEqual(
              found,
              wanted,
              `${shape} ${order} ${dtype} pieces ${pieceBytes} panel ${panelBytes}`,
            );
          }
        }
      }
    }
  }
});

test('an array that fits one panel is read once', async () => {
  const data = new Uint8Array(6 * 8);
  let reads = 0;
  const read = (start: number, stop: number) => {
    reads += 1;
    return pieces(data.subarray(start, stop), 5);
  };
  for await (const _ of valuesInRowOrder({ shape: [2, 3], dtype: 'float64', order: 'F' }, read));
  assert.equal(reads, 1);
});
