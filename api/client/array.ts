// Arrays on the client's side: what a caller may give, dense data in one typed array, nested lists. Element order is
// NumPy's: `C` row by row, `F` column by column. Hosts are little-endian, as WebAssembly is.

import { DTYPES, type Dtype, type FloatArray, floatArray } from '../../shared/math/dtype.ts';
import type { Order } from '../../shared/math/view.ts';
import { localProblem } from './problem.ts';

/** A dense array of rank 0 to 3. `data` may be a view of a larger buffer; whoever holds it may read it at will. */
export interface NdArray {
  readonly shape: readonly number[];
  readonly dtype: Dtype;
  readonly order: Order;
  readonly data: FloatArray;
}

export type NestedList = number | readonly NestedList[];

/** A `.npy` file that is not in memory; called for each attempt to send it. */
export interface NpyStream {
  readonly stream: () => ReadableStream<Uint8Array>;
  /** The array's id, where the caller knows it: then what is there already is not sent. */
  readonly id?: string | undefined;
}

/** Numbers, or a `.npy` file: as bytes, as a Blob or File, as a stream (which can be sent once, so never again). */
export type ArraySource =
  | NdArray
  | FloatArray
  | readonly NestedList[]
  | number
  | Uint8Array
  | Blob
  | ReadableStream<Uint8Array>
  | NpyStream;

const RANK_MAX = 3;

/**
 * An array over a typed array, without a copy.
 *
 * @throws shape-mismatch where it has another number of elements
 */
export function ndArray(data: FloatArray, shape: readonly number[], order: Order = 'C'): NdArray {
  const count = shape.reduce((product, side) => product * side, 1);
  if (data.length !== count) {
    throw localProblem(
      'shape-mismatch',
      `an array of ${shape.join('×')} does not have ${data.length} elements`,
    );
  }
  const dtype = data instanceof Float64Array ? 'float64' : 'float32';
  return { shape, dtype, order: shape.length > 1 ? order : 'C', data };
}

/** @throws array-syntax where lists of one level differ in length, hold other things than numbers, or nest too deep */
export function fromNested(list: NestedList, dtype: Dtype = 'float64'): NdArray {
  const shape: number[] = [];
  for (let level = list; Array.isArray(level); level = level[0] ?? 0) shape.push(level.length);
  // A side of zero ends the shape; what would follow it is not known.
  if (shape.length > RANK_MAX)
    throw localProblem('array-syntax', `an array has at most ${RANK_MAX} dimensions`);
  const count = shape.reduce((product, side) => product * side, 1);
  const data = floatArray(dtype, new ArrayBuffer(count * DTYPES[dtype].bytes), 0, count);
  fill(data, list, shape, 0, 0);
  return { shape, dtype, order: 'C', data };
}

function fill(
  data: FloatArray,
  list: NestedList,
  shape: readonly number[],
  axis: number,
  start: number,
): number {
  if (axis === shape.length) {
    if (typeof list !== 'number') throw localProblem('array-syntax', 'an array holds numbers alone');
    data[start] = list;
    return start + 1;
  }
  if (!Array.isArray(list) || list.length !== shape[axis]) {
    throw localProblem('array-syntax', 'lists of one level must have one length');
  }
  let next = start;
  for (const item of list as readonly NestedList[]) next = fill(data, item, shape, axis + 1, next);
  return next;
}

/** Nested lists, the outermost for the first axis, whatever the order of the data; a number for rank 0. */
export function toNested(array: NdArray): NestedList {
  const strides = stridesOf(array);
  const level = (axis: number, offset: number): NestedList => {
    const side = array.shape[axis];
    if (side === undefined) return array.data[offset] ?? Number.NaN;
    return Array.from({ length: side }, (_, index) => level(axis + 1, offset + index * (strides[axis] ?? 0)));
  };
  return level(0, 0);
}

/** Elements from one index of an axis to the next. */
export function stridesOf({ shape, order }: Pick<NdArray, 'shape' | 'order'>): number[] {
  const strides: number[] = new Array(shape.length).fill(1);
  const axes = shape.map((_, axis) => axis);
  let step = 1;
  for (const axis of order === 'C' ? axes.reverse() : axes) {
    strides[axis] = step;
    step *= shape[axis] ?? 1;
  }
  return strides;
}

export function isNdArray(value: object): value is NdArray {
  return 'data' in value && 'shape' in value && 'dtype' in value;
}
