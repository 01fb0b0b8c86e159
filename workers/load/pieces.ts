// Which bytes of a stored array make up a slab: a box of it, as contiguous pieces in the order of the file.

import type { DerivationInput } from '../../shared/job/derivation.ts';
import type { Range } from '../../shared/math/graph.ts';
import type { Order } from '../../shared/math/view.ts';
import type { InputSlab } from '../plan/plan.ts';

/** A contiguous piece of an array that is a contiguous piece of its slab; in elements. */
export interface Piece {
  readonly from: number;
  readonly to: number;
  readonly length: number;
}

interface Axis {
  readonly range: Range;
  readonly size: number;
}

/** The pieces of an array that make up a slab, ascending on both sides, as few as there can be. */
export function* piecesOf(
  slab: Pick<InputSlab, 'rows' | 'cols' | 'members'>,
  input: Pick<DerivationInput, 'shape' | 'members'>,
  order: Order,
): Generator<Piece> {
  const { from, length, scattered } = contiguousPart(axesOf(slab, input, order));
  const count = scattered.reduce((product, { range }) => product * (range[1] - range[0]), 1);
  if (length === 0) return;
  for (let index = 0; index < count; index++)
    yield { from: from + offsetOf(index, scattered), to: index * length, length };
}

/** The axes of the array, fastest first. */
function axesOf(
  slab: Pick<InputSlab, 'rows' | 'cols' | 'members'>,
  { shape, members }: Pick<DerivationInput, 'shape' | 'members'>,
  order: Order,
): Axis[] {
  const axes = [
    ...(slab.members === undefined ? [] : [{ range: slab.members, size: members ?? 1 }]),
    { range: slab.rows, size: shape.rows },
    { range: slab.cols, size: shape.cols },
  ];
  return order === 'C' ? axes.toReversed() : axes;
}

/** An axis whose pieces lie apart. */
interface ScatteredAxis {
  readonly range: Range;
  /** Elements of the array from one index to the next. */
  readonly stride: number;
}

/** Axes that are taken whole, and a range of the first that is not, are one piece; the slower ones repeat it. */
function contiguousPart(axes: readonly Axis[]): { from: number; length: number; scattered: ScatteredAxis[] } {
  let [from, length, stride] = [0, 1, 1];
  let isContiguous = true;
  const scattered: ScatteredAxis[] = [];
  for (const { range, size } of axes) {
    const count = range[1] - range[0];
    if (isContiguous) {
      from = range[0] * stride;
      length *= count;
    } else {
      scattered.push({ range, stride });
    }
    isContiguous &&= count === size;
    stride *= size;
  }
  return { from, length, scattered };
}

/** Where piece `index` begins, counted from the first corner of the contiguous axes. */
function offsetOf(index: number, scattered: readonly ScatteredAxis[]): number {
  let [rest, offset] = [index, 0];
  for (const { range, stride } of scattered) {
    const count = range[1] - range[0];
    offset += (range[0] + (rest % count)) * stride;
    rest = Math.floor(rest / count);
  }
  return offset;
}
