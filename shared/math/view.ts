// A strided matrix over a flat buffer: transposing and slicing are O(1) and copy nothing. Units are elements, not bytes.

import { assert } from '../assert.ts';

export interface View {
  readonly rows: number;
  readonly cols: number;
  /** Elements from the start of the buffer to element (0, 0). */
  readonly offset: number;
  /** Elements from (i, j) to (i + 1, j). */
  readonly rowStride: number;
  /** Elements from (i, j) to (i, j + 1). */
  readonly colStride: number;
}

export type Order = 'C' | 'F';

/** A dense view of rows×cols elements at `offset`, in row-major (C) or column-major (F) order. */
export function denseView(rows: number, cols: number, offset: number, order: Order = 'C'): View {
  return order === 'C'
    ? { rows, cols, offset, rowStride: cols, colStride: 1 }
    : { rows, cols, offset, rowStride: 1, colStride: rows };
}

export function transposeView(v: View): View {
  return { rows: v.cols, cols: v.rows, offset: v.offset, rowStride: v.colStride, colStride: v.rowStride };
}

/** Rows [rowStart, rowStop) and columns [colStart, colStop) of a view; half-open. */
export function sliceView(
  v: View,
  rowStart: number,
  rowStop: number,
  colStart: number,
  colStop: number,
): View {
  assert(0 <= rowStart && rowStart <= rowStop && rowStop <= v.rows, 'row slice inside the view');
  assert(0 <= colStart && colStart <= colStop && colStop <= v.cols, 'column slice inside the view');
  return {
    rows: rowStop - rowStart,
    cols: colStop - colStart,
    offset: v.offset + rowStart * v.rowStride + colStart * v.colStride,
    rowStride: v.rowStride,
    colStride: v.colStride,
  };
}
