// Matrices of small integers, whose products and sums float64 and float32 both hold exactly: what they should be is
// known bit for bit, by the schoolbook.

import { assert } from '../../shared/assert.ts';
import { elementAt, type Matrix, tabulate } from './evaluate.ts';

/** Entries from −4 to 4; another matrix for another seed. */
export function integers(rows: number, cols: number, seed: number): Matrix {
  let state = (seed * 2_654_435_761 + 12_345) >>> 0;
  return tabulate(rows, cols, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return ((state >>> 16) % 9) - 4;
  });
}

export function product(a: Matrix, b: Matrix): Matrix {
  assert(a.cols === b.rows, 'the inner sides are the same');
  return tabulate(a.rows, b.cols, (i, j) => {
    let sum = 0;
    for (let k = 0; k < a.cols; k += 1) sum += elementAt(a, i, k) * elementAt(b, k, j);
    return sum;
  });
}

export function transposed(a: Matrix): Matrix {
  return tabulate(a.cols, a.rows, (i, j) => elementAt(a, j, i));
}

/** The sum of matrices of one shape, each times its factor. */
export function combination(...terms: readonly (readonly [factor: number, matrix: Matrix])[]): Matrix {
  const [[, { rows, cols }] = [0, { rows: 0, cols: 0 }]] = terms;
  return tabulate(rows, cols, (i, j) =>
    terms.reduce((sum, [factor, matrix]) => sum + factor * elementAt(matrix, i, j), 0),
  );
}

/** I ⊗ A: `copies` of A down the diagonal. */
export function diagonalCopies(copies: number, a: Matrix): Matrix {
  return tabulate(copies * a.rows, copies * a.cols, (i, j) =>
    Math.floor(i / a.rows) === Math.floor(j / a.cols) ? elementAt(a, i % a.rows, j % a.cols) : 0,
  );
}

export function columnsOf(a: Matrix, start: number, stop: number): Matrix {
  return tabulate(a.rows, stop - start, (i, j) => elementAt(a, i, start + j));
}
