// Freivalds' test (1977) of C = Σ αAB + Σ cX: with a random ±1 vector x, C·x must equal Σ αA(Bx) + Σ cXx up to
// rounding. A wrong row escapes a round with probability at most 1/2, one with a single wrong element never; it costs
// about 1/n of the product. Rows whose bound is not finite are looked at by unbounded.ts.

import { DTYPES, type Dtype, type FloatArray } from '../../shared/math/dtype.ts';
import { sliceView, type View } from '../../shared/math/view.ts';
import {
  type Findings,
  type ImageTask,
  memberView,
  mergeFindings,
  NO_FINDINGS,
  type ResidualTask,
} from '../execute/task.ts';
import type { Tile } from '../execute/tile.ts';
import type { Vectors } from '../kernels/vectors.ts';
import { ROWS_PER_TILE_MAX } from '../plan/tiles.ts';
import { mustBeJudged } from './bounds.ts';
import { createUnboundedRows } from './unbounded.ts';

const FLOAT64_BYTES = DTYPES.float64.bytes;
/** Each matrix is read twice, as it is and as |A|: so many of its bytes at a time, that the second time finds a cache. */
const STRIP_BYTES = 192 * 1024;

/** Bytes of scratch that a verifier owns, 8-byte aligned. */
export const VERIFIER_SCRATCH_BYTES = ROWS_PER_TILE_MAX * FLOAT64_BYTES;

/**
 * The two halves of the test, for one thread: `elements` are the whole memory, `vectors` work over the same,
 * `scratch` is the byte offset of VERIFIER_SCRATCH_BYTES of it.
 */
export function createVerifier(elements: Record<Dtype, FloatArray>, vectors: Vectors, scratch: number) {
  const scratchAt = scratch / FLOAT64_BYTES;
  const isRowWrong = createUnboundedRows(elements);
  const product = elements.float64.subarray(scratchAt, scratchAt + ROWS_PER_TILE_MAX);
  const row = {
    expected: new Float64Array(ROWS_PER_TILE_MAX),
    magnitude: new Float64Array(ROWS_PER_TILE_MAX),
    reach: new Float64Array(ROWS_PER_TILE_MAX),
  };

  /** Rows of |A|·x or A·x; valid until the next call. */
  function times(dtype: Dtype, a: View, x: number, magnitude: boolean): Float64Array {
    vectors.matvec({ dtype, a, x, y: scratchAt, magnitude });
    return product as Float64Array; // of float64 elements
  }

  /** Σ αA(Bx) + Σ cXx, Σ |α||A||B|1 + Σ |c||X|1, and how far a sum in between can have come, for a strip of rows. */
  function expect(task: ResidualTask, member: number, start: number, stop: number): void {
    const { dtype, c } = task;
    for (const sums of [row.expected, row.magnitude, row.reach]) sums.fill(0, 0, stop - start);
    for (const { alpha, a: stack, y, z, memberStride } of task.products) {
      const a = sliceView(memberView(stack, member), start, stop, 0, stack.cols);
      const first = member * memberStride;
      const images = times(dtype, a, y / FLOAT64_BYTES + first, false);
      addTimes(row.expected, alpha, images, stop - start);
      const sizes = times(dtype, a, z / FLOAT64_BYTES + first, true);
      addTimes(row.magnitude, Math.abs(alpha), sizes, stop - start);
      addTimes(row.reach, Math.max(1, Math.abs(alpha)), sizes, stop - start);
    }
    const signs = task.x / FLOAT64_BYTES;
    for (const { coefficient, scalar, x: stack } of task.matrices) {
      const factor =
        coefficient * (scalar === null ? 1 : elements[dtype][memberView(scalar, member).offset]!);
      const x = sliceView(memberView(stack, member), start, stop, 0, stack.cols);
      addTimes(row.expected, factor, times(dtype, x, signs, false), stop - start);
      const sizes = times(dtype, x, signs + c.cols, true);
      addTimes(row.magnitude, Math.abs(factor), sizes, stop - start);
      addTimes(row.reach, Math.abs(factor), sizes, stop - start);
    }
  }

  function compare(task: ResidualTask, member: number, start: number, stop: number): Findings {
    expect(task, member, start, stop);
    const { dtype, c, relativeBound, absoluteBound } = task;
    const strip = sliceView(memberView(c, member), start, stop, 0, c.cols);
    const computed = times(dtype, strip, task.x / FLOAT64_BYTES, false);
    let found = NO_FINDINGS;
    for (let i = 0; i < stop - start; i++) {
      const residual = Math.abs(computed[i]! - row.expected[i]!);
      const magnitude = row.magnitude[i]!;
      const bound = relativeBound * magnitude + absoluteBound;
      if (!Number.isFinite(bound)) {
        if (isRowWrong(task, member, start + i)) found = { ...found, failures: found.failures + 1 };
      } else if (residual <= bound) {
        const maxError = residual > absoluteBound ? residual / magnitude : 0;
        if (maxError > found.maxError) found = { ...found, maxError };
      } else if (mustBeJudged(residual, bound, row.reach[i]!, dtype)) {
        found = { ...found, failures: found.failures + 1 };
      }
    }
    return found;
  }

  return {
    /** y = B·x and z = |B|·1, for a tile of rows. */
    image(task: ImageTask, tile: Tile): void {
      const { dtype } = task;
      const signs = task.x / FLOAT64_BYTES;
      for (const { member, start, stop } of strips(task.b, dtype, tile)) {
        const b = memberView(task.b, member);
        const a = sliceView(b, start, stop, 0, b.cols);
        const first = member * b.rows + start;
        vectors.matvec({ dtype, a, x: signs, y: task.y / FLOAT64_BYTES + first, magnitude: false });
        vectors.matvec({ dtype, a, x: signs + b.cols, y: task.z / FLOAT64_BYTES + first, magnitude: true });
      }
    },

    /** The residuals of a tile of rows of C. */
    residual(task: ResidualTask, tile: Tile): Findings {
      const widest = task.products.reduce((a, b) => (b.a.cols > a.cols ? b.a : a), task.c);
      let found = NO_FINDINGS;
      for (const { member, start, stop } of strips(widest, task.dtype, tile))
        found = mergeFindings(found, compare(task, member, start, stop));
      return found;
    },
  };
}

/** Members of a tile, in strips of rows that a cache holds. */
function* strips({ cols }: View, dtype: Dtype, { memberStart, memberStop, rowStart, rowStop }: Tile) {
  const rows = Math.max(8, Math.floor(STRIP_BYTES / Math.max(1, cols * DTYPES[dtype].bytes)));
  for (let member = memberStart; member < memberStop; member++)
    for (let start = rowStart; start < rowStop; start += rows)
      yield { member, start, stop: Math.min(rowStop, start + rows) };
}

function addTimes(sums: Float64Array, factor: number, terms: Float64Array, count: number): void {
  for (let i = 0; i < count; i++) sums[i]! += factor * terms[i]!;
}
