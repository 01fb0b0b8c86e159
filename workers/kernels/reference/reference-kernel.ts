// The reference kernel: the five loops around a micro-kernel, on one screen. Slow and obvious, it is the oracle for
// every other kernel and has, on finite data, the very bits of the strict WASM kernel. No SIMD, no unrolling.

import { DTYPES, type Dtype, type FloatArray, floatArray } from '../../../shared/math/dtype.ts';
import { sliceView, transposeView, type View } from '../../../shared/math/view.ts';
import type { GemmTile, Kernel, Scratch } from '../kernel.ts';
import { assertScratch, assertTile } from '../preconditions.ts';
import { PANEL_LENGTH, panels, type Range, ranges } from '../summation.ts';

// Small, so that a short test walks every loop more than once. They move no bit of the result; kc, in summation.ts, does.
const MR = 2;
const NR = 4;
const MC = 16;
const NC = 64;

/** Bytes of scratch: a packed block of A, a packed block of B and one micro-tile of sums. */
export const REFERENCE_SCRATCH_BYTES = Math.max(
  scratchElements('float64') * 8,
  scratchElements('float32') * 4,
);

function scratchElements(dtype: Dtype): number {
  return (MC + NC) * PANEL_LENGTH[dtype] + MR * NR;
}

/** What the loops hand down: the buffer, rounding to its dtype, and where packed panels and sums lie, in elements. */
interface Workspace {
  readonly data: FloatArray;
  readonly round: (x: number) => number;
  readonly packedA: number;
  readonly packedB: number;
  readonly sums: number;
}

export function createReferenceKernel(memory: WebAssembly.Memory, scratch: Scratch): Kernel {
  assertScratch(scratch, REFERENCE_SCRATCH_BYTES, memory.buffer.byteLength);
  return {
    name: 'reference',
    gemm(tile) {
      assertTile(tile, memory.buffer.byteLength);
      multiply(tile, workspace(tile.dtype, memory, scratch));
    },
  };
}

function workspace(dtype: Dtype, memory: WebAssembly.Memory, scratch: Scratch): Workspace {
  const { bytes } = DTYPES[dtype];
  const packedA = scratch.byteOffset / bytes;
  const packedB = packedA + MC * PANEL_LENGTH[dtype];
  return {
    data: floatArray(dtype, memory.buffer, 0, memory.buffer.byteLength / bytes),
    round: dtype === 'float32' ? Math.fround : x => x,
    packedA,
    packedB,
    sums: packedB + NC * PANEL_LENGTH[dtype],
  };
}

function multiply({ dtype, alpha, a, b, beta, c }: GemmTile, w: Workspace): void {
  // Loop 5: columns of B and C, nc at a time.
  for (const jc of ranges(c.cols, NC)) {
    // Loop 4: the inner dimension, in panels. Every panel adds to the same C, so this loop is never parallel.
    for (const pc of panels(a.cols, dtype)) {
      pack(w, columns(rows(b, pc), jc), NR, w.packedB);
      const betaHere = pc.start === 0 ? beta : 1;
      // Loop 3: rows of A and C, mc at a time.
      for (const ic of ranges(c.rows, MC)) {
        pack(w, transposeView(columns(rows(a, ic), pc)), MR, w.packedA);
        const block = columns(rows(c, ic), jc);
        // Loop 2: columns, nr at a time. Loop 1: rows, mr at a time.
        for (const jr of ranges(block.cols, NR)) {
          for (const ir of ranges(block.rows, MR)) {
            microKernel(w, pc.length, w.packedA + ir.start * pc.length, w.packedB + jr.start * pc.length);
            merge(w, columns(rows(block, ir), jr), alpha, betaHere);
          }
        }
      }
    }
  }
}

function rows(v: View, { start, length }: Range): View {
  return sliceView(v, start, start + length, 0, v.cols);
}

function columns(v: View, { start, length }: Range): View {
  return sliceView(v, 0, v.rows, start, start + length);
}

/** Copies a k×n view into panels of `width` columns, k rows of `width` each, zeros beside the ragged edge. */
function pack({ data }: Workspace, v: View, width: number, to: number): void {
  let next = to;
  for (const panel of ranges(v.cols, width)) {
    for (let p = 0; p < v.rows; p++) {
      for (let j = 0; j < width; j++) {
        const from = v.offset + p * v.rowStride + (panel.start + j) * v.colStride;
        data[next++] = j < panel.length ? data[from]! : 0;
      }
    }
  }
}

/** sums ← Ã·B̃ for one mr×k and one k×nr panel: from +0, k ascending, a rounded product and then a rounded sum. */
function microKernel({ data, round, sums }: Workspace, k: number, panelA: number, panelB: number): void {
  for (let i = 0; i < MR; i++) {
    for (let j = 0; j < NR; j++) {
      let sum = 0;
      for (let p = 0; p < k; p++)
        sum = round(sum + round(data[panelA + p * MR + i]! * data[panelB + p * NR + j]!));
      data[sums + i * NR + j] = sum;
    }
  }
}

/** C ← α·sums + β·C on the valid part of a micro-tile; where β = 0, C is not read. */
function merge({ data, round, sums }: Workspace, c: View, alpha: number, beta: number): void {
  for (let i = 0; i < c.rows; i++) {
    for (let j = 0; j < c.cols; j++) {
      const at = c.offset + i * c.rowStride + j * c.colStride;
      const product = round(round(alpha) * data[sums + i * NR + j]!);
      data[at] = beta === 0 ? product : round(round(round(beta) * data[at]!) + product);
    }
  }
}
