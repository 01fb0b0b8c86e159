// The shape of a matrix. Rank 0 and rank 1 arrays have become 1×1 and n×1 before they get here.

import { FrechetError } from '../errors.ts';

export interface Shape {
  readonly rows: number;
  readonly cols: number;
}

export function shape(rows: number, cols: number): Shape {
  return { rows, cols };
}

/**
 * The shape of a matrix made from others, whose sides can outgrow what a number counts exactly.
 * @throws job-too-large
 */
export function safeShape(rows: number, cols: number): Shape {
  const side = Math.max(rows, cols);
  if (!Number.isSafeInteger(side)) {
    throw new FrechetError('job-too-large', 'A side of a matrix in this job is longer than can be counted.', {
      limit: Number.MAX_SAFE_INTEGER,
      requested: String(side),
    });
  }
  return { rows, cols };
}

export function sameShape(a: Shape, b: Shape): boolean {
  return a.rows === b.rows && a.cols === b.cols;
}

export function isScalar(s: Shape): boolean {
  return s.rows === 1 && s.cols === 1;
}

export function transposeShape(s: Shape): Shape {
  return { rows: s.cols, cols: s.rows };
}

/** Number of elements, exact at any size. */
export function elementCount(s: Shape): bigint {
  return BigInt(s.rows) * BigInt(s.cols);
}

export function formatShape(s: Shape): string {
  return `${s.rows}×${s.cols}`;
}
