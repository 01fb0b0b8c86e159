// Freivalds' test (1977) of C = Σ αAB + Σ cX: with a random ±1 vector x, C·x must equal Σ αA(Bx) + Σ cXx up to
// rounding. A wrong row escapes a round with probability at most 1/2, one with a single wrong element never; it costs
// about 1/n of the product. Rows whose bound is not finite are looked at by unbounded.ts. Columns are rows of Cᵀ.

import { DTYPES, type Dtype, type FloatArray } from '../../shared/math/dtype.ts';
import { sliceView, type View } from '../../shared/math/view.ts';
import {
  type Findings,
  type ImageTask,
  type MeasureTask,
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

/** Bytes of scratch that a verifier owns, 8-byte aligned: a product with signs and one of magnitudes. */
export const VERIFIER_SCRATCH_BYTES = 2 * ROWS_PER_TILE_MAX * FLOAT64_BYTES;

/**
 * The two halves of the test, for one thread: `elements` are the whole memory, `vectors` work over the same,
 * `scratch` is the byte offset of VERIFIER_SCRATCH_BYTES of it.
 */
export function createVerifier(elements: Record<Dtype, FloatArray>, vectors: Vectors, scratch: number) {
  const isRowWrong = createUnboundedRows(elements);
  const [sumsAt, sizesAt] = [scratch / FLOAT64_BYTES, scratch / FLOAT64_BYTES + ROWS_PER_TILE_MAX];
  const own = (at: number) => elements.float64.subarray(at, at + ROWS_PER_TILE_MAX) as Float64Array; // of float64 elements
  const product = { sums: own(sumsAt), sizes: own(sizesAt) };
  const row = {
    expected: new Float64Array(ROWS_PER_TILE_MAX),
    magnitude: new Float64Array(ROWS_PER_TILE_MAX),
    reach: new Float64Array(ROWS_PER_TILE_MAX),
  };

  /** Rows of A·x and |A|·w, both vectors counted in elements; valid until the next call. */
  function times(dtype: Dtype, a: View, x: number, w: number): typeof product {
    vectors.matvec({ dtype, a, x, w, y: sumsAt, z: sizesAt });
    return product;
  }

  /** Σ αA(Bx) + Σ cXx, Σ |α||A||B|1 + Σ |c||X|1, and how far a sum in between can have come, for a strip of rows. */
  function expect(task: ResidualTask, member: number, start: number, stop: number): void {
    const { dtype, c } = task;
    for (const sums of [row.expected, row.magnitude, row.reach]) sums.fill(0, 0, stop - start);
    for (const { alpha, a: stack, y, z, memberStride } of task.products) {
      const a = sliceView(memberView(stack, member), start, stop, 0, stack.cols);
      const first = member * memberStride;
      const { sums, sizes } = times(dtype, a, y / FLOAT64_BYTES + first, z / FLOAT64_BYTES + first);
      addTimes(row.expected, alpha, sums, stop - start);
      addTimes(row.magnitude, Math.abs(alpha), sizes, stop - start);
      addTimes(row.reach, Math.max(1, Math.abs(alpha)), sizes, stop - start);
    }
    const signs = task.x / FLOAT64_BYTES;
    for (const { coefficient, scalar, x: stack } of task.matrices) {
      const factor =
        coefficient * (scalar === null ? 1 : elements[dtype][memberView(scalar, member).offset]!);
      const x = sliceView(memberView(stack, member), start, stop, 0, stack.cols);
      const { sums, sizes } = times(dtype, x, signs, signs + c.cols);
      addTimes(row.expected, factor, sums, stop - start);
      addTimes(row.magnitude, Math.abs(factor), sizes, stop - start);
      addTimes(row.reach, Math.abs(factor), sizes, stop - start);
    }
  }

  function compare(task: ResidualTask, member: number, start: number, stop: number): Findings {
    expect(task, member, start, stop);
    const { dtype, c, relativeBound, absoluteBound } = task;
    const strip = sliceView(memberView(c, member), start, stop, 0, c.cols);
    const signs = task.x / FLOAT64_BYTES;
    const { sums: computed, sizes } = times(dtype, strip, signs, signs + c.cols);
    let [maxError, failures, total, size] = [0, 0, 0, 0];
    for (let i = 0; i < stop - start; i++) {
      const residual = Math.abs(computed[i]! - row.expected[i]!);
      const magnitude = row.magnitude[i]!;
      const bound = relativeBound * magnitude + absoluteBound;
      total += magnitude;
      size += sizes[i]!;
      if (!Number.isFinite(bound)) {
        if (isRowWrong(task, member, start + i)) failures += 1;
      } else if (residual <= bound) {
        if (residual > absoluteBound) maxError = Math.max(maxError, residual / magnitude);
      } else if (mustBeJudged(residual, bound, row.reach[i]!, dtype)) {
        failures += 1;
      }
    }
    return { ...NO_FINDINGS, maxError, failures, magnitude: total, size };
  }

  return {
    /** y = B·x and z = |B|·1, for a tile of rows. */
    image(task: ImageTask, { memberStart, memberStop, rowStart, rowStop }: Tile): Findings {
      const x = task.x / FLOAT64_BYTES;
      let largestRow = 0;
      for (let member = memberStart; member < memberStop; member++) {
        const b = memberView(task.b, member);
        const a = sliceView(b, rowStart, rowStop, 0, b.cols);
        const first = member * b.rows + rowStart;
        const [y, z] = [task.y / FLOAT64_BYTES + first, task.z / FLOAT64_BYTES + first];
        vectors.matvec({ dtype: task.dtype, a, x, w: x + b.cols, y, z });
        for (let i = 0; i < a.rows; i++) largestRow = Math.max(largestRow, elements.float64[z + i]!);
      }
      return { ...NO_FINDINGS, largestRow };
    },

    /** The residuals of a tile of rows of C. */
    residual(task: ResidualTask, { memberStart, memberStop, rowStart, rowStop }: Tile): Findings {
      let found = NO_FINDINGS;
      for (let member = memberStart; member < memberStop; member++)
        found = mergeFindings(found, compare(task, member, rowStart, rowStop));
      return found;
    },

    /** The magnitudes of a tile of rows. Plain loops: only what is no product is measured, and adding it is such a loop too. */
    measure({ dtype, x: stack }: MeasureTask, tile: Tile): Findings {
      const data = elements[dtype];
      let [size, largestRow] = [0, 0];
      for (let member = tile.memberStart; member < tile.memberStop; member++) {
        const { offset, rowStride, colStride, cols } = memberView(stack, member);
        for (let i = tile.rowStart; i < tile.rowStop; i++) {
          let sum = 0;
          for (let j = 0; j < cols; j++) sum += Math.abs(data[offset + i * rowStride + j * colStride]!);
          size += sum;
          largestRow = Math.max(largestRow, sum);
        }
      }
      return { ...NO_FINDINGS, size, largestRow };
    },
  };
}

function addTimes(sums: Float64Array, factor: number, terms: Float64Array, count: number): void {
  for (let i = 0; i < count; i++) sums[i]! += factor * terms[i]!;
}
