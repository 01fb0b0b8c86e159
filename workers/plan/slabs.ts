// Which piece of each input a block needs, and how it lies in memory: the smallest box around all slices of it, in
// the order of its file, so that nothing is transposed or gathered twice.

import { assert } from '../../shared/assert.ts';
import { type InputNode, type Node, type Range, topologicalOrder } from '../../shared/math/graph.ts';
import type { Order } from '../../shared/math/view.ts';
import type { InputSlab } from './plan.ts';

interface Box {
  rows: Range;
  cols: Range;
}

/** Where an input's bytes come from, as far as a plan must know. */
export interface InputLayout {
  readonly order: Order;
  /** True where the array is a stack, of which the block reads its members. */
  readonly stacked: boolean;
}

/** The slabs of all inputs under `roots`, in order of first use. */
export function planSlabs(
  roots: readonly Node[],
  layouts: ReadonlyMap<string, InputLayout>,
  members: Range,
): InputSlab[] {
  const boxes = new Map<InputNode, Box>();
  const order = topologicalOrder(roots);
  for (const node of order) {
    for (const input of node.inputs) {
      if (input.primitive === 'input') widen(boxes, input, node);
    }
  }
  for (const root of roots) if (root.primitive === 'input') widen(boxes, root, root);
  return order
    .filter(node => node.primitive === 'input')
    .map(input => slab(input, boxes.get(input), layouts.get(input.params.name), members));
}

/** A slice needs its own region; any other user needs the whole. */
function widen(boxes: Map<InputNode, Box>, input: InputNode, user: Node): void {
  const { rows, cols } = input.shape;
  const region: Box = user.primitive === 'slice' ? user.params : { rows: [0, rows], cols: [0, cols] };
  const box = boxes.get(input);
  boxes.set(input, {
    rows: box === undefined ? region.rows : hull(box.rows, region.rows),
    cols: box === undefined ? region.cols : hull(box.cols, region.cols),
  });
}

function hull(a: Range, b: Range): Range {
  return [Math.min(a[0], b[0]), Math.max(a[1], b[1])];
}

function slab(
  input: InputNode,
  box: Box | undefined,
  layout: InputLayout | undefined,
  members: Range,
): InputSlab {
  const { name, role } = input.params;
  assert(box !== undefined && layout !== undefined, `the layout of input ${name} is known`);
  const rows = box.rows[1] - box.rows[0];
  const cols = box.cols[1] - box.cols[0];
  const count = layout.stacked ? members[1] - members[0] : 1;
  // Element (s, i, j) of a C-ordered stack is at (s·rows + i)·cols + j, of a Fortran-ordered one at s + count·(i + rows·j).
  const strides =
    layout.order === 'C'
      ? { rowStride: cols, colStride: 1, memberStride: rows * cols }
      : { rowStride: count, colStride: count * rows, memberStride: 1 };
  return {
    name,
    role,
    ...box,
    ...(layout.stacked ? { members } : {}),
    ...strides,
    memberStride: layout.stacked ? strides.memberStride : 0,
    elements: count * rows * cols,
  };
}
