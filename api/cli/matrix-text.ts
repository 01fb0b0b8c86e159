// Matrices as text: a row a line, columns aligned, every number with the digits it takes to read it back exactly.

import { type NdArray, type NestedList, toNested } from '../client/array.ts';

/** More than this nobody reads in a terminal. */
export const SHOWN_ELEMENTS_MAX = 400;

/** A stack has an empty line between its members. */
export function matrixText(array: NdArray): string {
  const nested = toNested(array);
  if (array.shape.length < 3) return rowsText(nested);
  return (nested as readonly NestedList[]).map(rowsText).join('\n'); // of rank 3 it is a list
}

function rowsText(matrix: NestedList): string {
  const rows = (Array.isArray(matrix) ? matrix : [matrix]).map(row =>
    (Array.isArray(row) ? row : [row]).map(numberText),
  );
  const width = Math.max(0, ...rows.flat().map(text => text.length));
  return rows.map(row => `${row.map(text => text.padStart(width)).join(' ')}\n`).join('');
}

function numberText(value: unknown): string {
  return Object.is(value, -0) ? '-0' : String(value);
}
