// Which pieces of its inputs a block reads, and how they lie in memory: a box for each slice, in the order of its
// file, so that nothing is transposed. Boxes of one input are joined where the whole is no larger than its parts: rows
// of A and columns of A stay two slabs, or a block of A + A' would read all of A.

import { assert } from '../../shared/assert.ts';
import type { Dtype } from '../../shared/math/dtype.ts';
import {
  type InputNode,
  type Node,
  type Range,
  type Region,
  topologicalOrder,
} from '../../shared/math/graph.ts';
import { residentInputs, type Streaming } from '../../shared/math/streams.ts';
import type { Order, View } from '../../shared/math/view.ts';
import type { InputSlab } from './plan.ts';

/** Where an input's bytes come from, as far as a plan must know. */
export interface InputLayout {
  readonly order: Order;
  /** The dtype of its elements there. */
  readonly dtype: Dtype;
  /** True where the array is a stack, of which the block reads its members. */
  readonly stacked: boolean;
}

/** The slabs of all inputs under `roots` that are not streamed, those of one input side by side, inputs in order of first use. */
export function planSlabs(
  roots: readonly Node[],
  streaming: Streaming,
  layouts: ReadonlyMap<string, InputLayout>,
  members: Range,
): InputSlab[] {
  return [...inputRegions(roots, streaming)].flatMap(([input, regions]) => {
    const layout = layoutOf(layouts, input);
    return regions.reduce(join, []).map(box => inputSlab(input, box, layout, members));
  });
}

export function layoutOf(layouts: ReadonlyMap<string, InputLayout>, { params }: InputNode): InputLayout {
  const layout = layouts.get(params.name);
  assert(layout !== undefined, `the layout of input ${params.name} is known`);
  return layout;
}

/** Index of the slab that holds a region of an input. */
export function slabOf(slabs: readonly InputSlab[], input: InputNode, region: Region): number {
  const index = slabs.findIndex(one => one.name === input.params.name && isInside(region, one));
  assert(index >= 0, `a slab of input ${input.params.name} holds the region`);
  return index;
}

/** What is read of an input by whoever reads it all. */
export function wholeRegion({ shape }: Node): Region {
  return { rows: [0, shape.rows], cols: [0, shape.cols] };
}

/** A slice reads its own region; any other user reads the whole. */
function inputRegions(roots: readonly Node[], streaming: Streaming): Map<InputNode, Region[]> {
  const regions = new Map<InputNode, Region[]>();
  const resident = (node: Node) => residentInputs(node, streaming);
  const order = topologicalOrder(roots, resident);
  for (const node of order) if (node.primitive === 'input') regions.set(node, []);
  for (const node of order) {
    for (const input of resident(node)) {
      if (input.primitive !== 'input') continue;
      regions.get(input)!.push(node.primitive === 'slice' ? node.params : wholeRegion(input));
    }
  }
  for (const root of roots) if (root.primitive === 'input') regions.get(root)!.push(wholeRegion(root));
  return regions;
}

/** Adds a box to disjoint ones; a join may make room for the next. */
function join(boxes: readonly Region[], added: Region): Region[] {
  const partner = boxes.find(box => area(hull(box, added)) <= area(box) + area(added));
  if (partner === undefined) return [...boxes, added];
  return join(
    boxes.filter(box => box !== partner),
    hull(partner, added),
  );
}

function hull(a: Region, b: Region): Region {
  return { rows: hullOf(a.rows, b.rows), cols: hullOf(a.cols, b.cols) };
}

function hullOf(a: Range, b: Range): Range {
  return [Math.min(a[0], b[0]), Math.max(a[1], b[1])];
}

function isInside(region: Region, { rows, cols }: Region): boolean {
  return (
    rows[0] <= region.rows[0] &&
    region.rows[1] <= rows[1] &&
    cols[0] <= region.cols[0] &&
    region.cols[1] <= cols[1]
  );
}

function area({ rows, cols }: Region): number {
  return (rows[1] - rows[0]) * (cols[1] - cols[0]);
}

/** A box of an input as it lies in memory: in the order of its file, so that nothing is transposed. */
export function inputSlab(
  { params }: InputNode,
  { rows, cols }: Region,
  layout: InputLayout,
  members: Range,
): InputSlab {
  const height = rows[1] - rows[0];
  const width = cols[1] - cols[0];
  const count = layout.stacked ? members[1] - members[0] : 1;
  // Element (s, i, j) of a C-ordered stack is at (s·height + i)·width + j, of a Fortran-ordered one at s + count·(i + height·j).
  const strides =
    layout.order === 'C'
      ? { rowStride: width, colStride: 1, memberStride: height * width }
      : { rowStride: count, colStride: count * height, memberStride: 1 };
  return {
    name: params.name,
    role: params.role,
    rows,
    cols,
    ...(layout.stacked ? { members } : {}),
    ...strides,
    memberStride: layout.stacked ? strides.memberStride : 0,
    elements: count * height * width,
  };
}

/** The elements of a slab's first member, from its beginning. */
export function viewOfSlab({ rows, cols, rowStride, colStride }: InputSlab): View {
  return { rows: rows[1] - rows[0], cols: cols[1] - cols[0], offset: 0, rowStride, colStride };
}
