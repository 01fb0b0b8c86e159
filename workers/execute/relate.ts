// Elements and their magnitudes, one to one: how large a bound of each element is, at most, and beside the element.

import { DTYPES, type FloatArray, floatArray } from '../../shared/math/dtype.ts';
import { type Findings, NO_FINDINGS, type RelateTask, type Task } from './task.ts';

/** Elements of a tile: some hundred microseconds. */
const TILE_LENGTH = 2 ** 17;

export interface Relation {
  /** The largest magnitude. */
  readonly largest: number;
  /** The largest magnitude relative to its element: infinite where an element is zero and its magnitude is not. */
  readonly largestRelative: number;
}

/** @param byteOffset of `length` elements, and `magnitudesAt` of as many magnitudes */
export async function relate(
  place: Pick<RelateTask, 'dtype' | 'byteOffset' | 'magnitudesAt' | 'length'>,
  run: (task: Task, tiles: number) => Promise<Findings>,
): Promise<Relation> {
  const task: RelateTask = { kind: 'relate', ...place, tileLength: TILE_LENGTH };
  return run(task, Math.ceil(place.length / TILE_LENGTH));
}

/** One tile, on a thread. */
export function relateTile(
  { dtype, byteOffset, magnitudesAt, length, tileLength }: RelateTask,
  tile: number,
  buffer: SharedArrayBuffer,
): Findings {
  const first = tile * tileLength;
  const count = Math.min(tileLength, length - first);
  const skipped = first * DTYPES[dtype].bytes;
  const [elements, magnitudes] = [byteOffset, magnitudesAt].map(start =>
    floatArray(dtype, buffer, start + skipped, count),
  ) as [FloatArray, FloatArray]; // two of two
  let [largest, largestRelative] = [0, 0];
  for (let i = 0; i < elements.length; i++) {
    const magnitude = magnitudes[i]!;
    if (magnitude === 0) continue;
    largest = Math.max(largest, magnitude);
    largestRelative = Math.max(largestRelative, magnitude / Math.abs(elements[i]!));
  }
  return { ...NO_FINDINGS, largest, largestRelative };
}
