// Freivalds' test (1977) of C = Σ αAB + Σ cX: with a random ±1 vector x, C·x must equal Σ αA(Bx) + Σ cXx up to
// rounding. A wrong row escapes a round with probability at most 1/2; it costs about 1/n of the product.
// Rows whose bound is not finite (NaN, infinity or overflow in the operands) cannot be judged and are passed over.

import type { Dtype, FloatArray } from '../../shared/math/dtype.ts';
import type { View } from '../../shared/math/view.ts';
import { memberView, type Tile } from '../execute/combine.ts';
import type { Findings, ImageTask, ResidualTask } from '../execute/task.ts';

type Elements = Record<Dtype, FloatArray>;

/** Rows of y = B·x and z = |B|·1, float64. */
export function imageTile(task: ImageTask, tile: Tile, elements: Elements): void {
  const data = elements[task.dtype];
  const vectors = elements.float64;
  const b = memberView(task.b, tile.member);
  const [x, y, z] = [task.x / 8, task.y / 8 + tile.member * b.rows, task.z / 8 + tile.member * b.rows];
  for (let row = tile.rowStart; row < tile.rowStop; row++) {
    vectors[y + row] = rowTimes(data, b, row, vectors, x);
    vectors[z + row] = rowMagnitude(data, b, row);
  }
}

/** Residuals of rows [rowStart, rowStop) of one member of C. */
export function residualTile(task: ResidualTask, tile: Tile, elements: Elements): Findings {
  const data = elements[task.dtype];
  const vectors = elements.float64;
  const c = memberView(task.c, tile.member);
  let maxError = 0;
  let failures = 0;
  for (let row = tile.rowStart; row < tile.rowStop; row++) {
    let expected = 0;
    let magnitude = 0;
    for (const { alpha, a: stack, y, z, memberStride } of task.products) {
      const a = memberView(stack, tile.member);
      const first = tile.member * memberStride;
      expected += alpha * rowTimes(data, a, row, vectors, y / 8 + first);
      magnitude += Math.abs(alpha) * absoluteRowTimes(data, a, row, vectors, z / 8 + first);
    }
    for (const { coefficient, scalar, x: stack } of task.matrices) {
      const factor = coefficient * (scalar === null ? 1 : data[memberView(scalar, tile.member).offset]!);
      const x = memberView(stack, tile.member);
      expected += factor * rowTimes(data, x, row, vectors, task.x / 8);
      magnitude += Math.abs(factor) * rowMagnitude(data, x, row);
    }
    const residual = Math.abs(rowTimes(data, c, row, vectors, task.x / 8) - expected);
    const bound = task.relativeBound * magnitude + task.absoluteBound;
    if (!Number.isFinite(bound)) continue;
    // Written so that a residual that is NaN fails.
    if (!(residual <= bound)) failures += 1;
    if (residual > task.absoluteBound) maxError = Math.max(maxError, residual / magnitude);
  }
  return { maxError, failures };
}

function rowTimes(data: FloatArray, view: View, row: number, vectors: FloatArray, x: number): number {
  let at = view.offset + row * view.rowStride;
  let sum = 0;
  for (let j = 0; j < view.cols; j++) {
    sum += data[at]! * vectors[x + j]!;
    at += view.colStride;
  }
  return sum;
}

function absoluteRowTimes(data: FloatArray, view: View, row: number, vectors: FloatArray, x: number): number {
  let at = view.offset + row * view.rowStride;
  let sum = 0;
  for (let j = 0; j < view.cols; j++) {
    sum += Math.abs(data[at]!) * vectors[x + j]!;
    at += view.colStride;
  }
  return sum;
}

function rowMagnitude(data: FloatArray, view: View, row: number): number {
  let at = view.offset + row * view.rowStride;
  let sum = 0;
  for (let j = 0; j < view.cols; j++) {
    sum += Math.abs(data[at]!);
    at += view.colStride;
  }
  return sum;
}
