import { assert } from '../../assert.ts';
import type { Range } from '../graph.ts';
import type { Primitive } from '../rules.ts';
import { shape } from '../shape.ts';

/**
 * Rows and columns of A. Over an input it is a view; over a Kronecker product, an identity or a vec it says which
 * elements are written. No derivative passes it: a block is cut out of a derivative, not differentiated.
 */
export const slice: Primitive<'slice'> = {
  shape: ([a], { rows, cols }) => {
    assert(isWithin(rows, a.rows), 'a row slice lies inside the matrix');
    assert(isWithin(cols, a.cols), 'a column slice lies inside the matrix');
    return shape(rows[1] - rows[0], cols[1] - cols[0]);
  },
  flops: () => 0n,
  isView: true,
  region: ({ params }, { rows, cols }) => [
    { rows: shift(rows, params.rows), cols: shift(cols, params.cols) },
  ],
  bound: ([a]) => a,
};

function isWithin([start, stop]: Range, size: number): boolean {
  return (
    Number.isSafeInteger(start) && Number.isSafeInteger(stop) && 0 <= start && start <= stop && stop <= size
  );
}

/** A range within a range, counted from the outside. */
function shift([start, stop]: Range, [origin]: Range): Range {
  return [origin + start, origin + stop];
}
