// The WASM kernel: loops 5 to 3 here, everything that touches an element inside the module (template.ts), which
// works directly on the shared memory. Numbers cross the border a few times for each packed block, no more.

import { DTYPES, type Dtype } from '../../../shared/math/dtype.ts';
import { transposeView, type View } from '../../../shared/math/view.ts';
import type { GemmTile, Kernel, Scratch } from '../kernel.ts';
import { assertScratch, assertTile } from '../preconditions.ts';
import { panels, ranges } from '../summation.ts';
import { BLOCKING, FLAT_NC, scratchLayout, THIN_NC, WASM_SCRATCH_BYTES } from './blocking.ts';

type Pack = (from: number, across: number, along: number, count: number, k: number, to: number) => void;
type Multiply = (
  packedA: number,
  packedB: number,
  sums: number,
  m: number,
  n: number,
  k: number,
  c: number,
  rowStrideC: number,
  colStrideC: number,
  alpha: number,
  beta: number,
) => void;

type Merge = (
  sums: number,
  m: number,
  n: number,
  c: number,
  rowStrideC: number,
  colStrideC: number,
  alpha: number,
  beta: number,
) => void;
/** s ← x·B for n columns and k rows, `stride` being the one of B that is not one element. */
type Thin = (
  b: number,
  stride: number,
  n: number,
  k: number,
  x: number,
  strideX: number,
  sums: number,
) => void;

interface Heart {
  readonly packA: Pack;
  readonly packB: Pack;
  readonly multiply: Multiply;
  readonly merge: Merge;
  /** Where B is contiguous along k, and where it is along its rows. */
  readonly dots: Thin;
  readonly sweep: Thin;
}

/** A kernel over `memory`, from `compileWasmKernel`. It owns `scratch`: `WASM_SCRATCH_BYTES` of that memory. */
export function createWasmKernel(
  module: WebAssembly.Module,
  memory: WebAssembly.Memory,
  scratch: Scratch,
): Kernel {
  assertScratch(scratch, WASM_SCRATCH_BYTES, memory.buffer.byteLength);
  const { exports } = new WebAssembly.Instance(module, { env: { memory } });
  const hearts = { float64: heart(exports, 'float64'), float32: heart(exports, 'float32') };
  return {
    name: 'wasm',
    gemm(tile) {
      assertTile(tile, memory.buffer.byteLength);
      const oriented = orient(tile);
      const { b, c } = oriented;
      const isThin = c.rows === 1 && (b.rowStride === 1 || b.colStride === 1);
      (isThin ? multiplyRow : multiply)(oriented, hearts[tile.dtype], scratch.byteOffset);
    },
  };
}

/** The functions of one dtype. The casts hold because the artefact is built from the template that names them. */
function heart(exports: WebAssembly.Exports, dtype: Dtype): Heart {
  const { mr, nr } = BLOCKING[dtype];
  const suffix = dtype === 'float64' ? 'f64' : 'f32';
  return {
    packA: exports[`pack_${suffix}_${mr}`] as Pack,
    packB: exports[`pack_${suffix}_${nr}`] as Pack,
    multiply: exports[`multiply_${suffix}`] as Multiply,
    merge: exports[`merge_${suffix}`] as Merge,
    dots: exports[`dots_${suffix}`] as Thin,
    sweep: exports[`sweep_${suffix}`] as Thin,
  };
}

/**
 * Swaps C = A·B for Cᵀ = Bᵀ·Aᵀ where that is faster, which costs nothing and moves no bit (a·b = b·a): where C's
 * columns are the contiguous ones, since the micro-kernel writes rows, and where C is so narrow that half of its
 * micro-tiles' columns would be padding.
 */
function orient(tile: GemmTile): GemmTile {
  const { a, b, c, dtype } = tile;
  const halfTile = BLOCKING[dtype].nr / 2;
  const narrow = c.cols <= halfTile && c.cols < c.rows;
  const flat = c.rows <= halfTile && c.rows <= c.cols;
  const columnMajor = c.rowStride === 1 && c.colStride !== 1;
  if (!narrow && !(columnMajor && !flat)) return tile;
  return { ...tile, a: transposeView(b), b: transposeView(a), c: transposeView(c) };
}

/** C of one row, from a B that is contiguous one way or the other: nothing is used twice, so nothing is packed. */
function multiplyRow({ dtype, alpha, a, b, beta, c }: GemmTile, kernel: Heart, scratch: number): void {
  const { bytes } = DTYPES[dtype];
  const sums = scratch + scratchLayout(dtype).packedB;
  const isAlong = b.rowStride === 1;
  const [thin, stride, nc] = isAlong
    ? [kernel.dots, b.colStride, THIN_NC.along]
    : [kernel.sweep, b.rowStride, THIN_NC.across];
  for (const jc of ranges(c.cols, nc)) {
    for (const pc of panels(a.cols, dtype)) {
      const x = (a.offset + pc.start * a.colStride) * bytes;
      const from = (b.offset + pc.start * b.rowStride + jc.start * b.colStride) * bytes;
      thin(from, stride * bytes, jc.length, pc.length, x, a.colStride * bytes, sums);
      const to = (c.offset + jc.start * c.colStride) * bytes;
      kernel.merge(sums, 1, jc.length, to, 0, c.colStride * bytes, alpha, pc.start === 0 ? beta : 1);
    }
  }
}

/** Byte offsets and strides go to WASM as unsigned 32-bit numbers; JavaScript's conversion wraps as it should. */
function multiply({ dtype, alpha, a, b, beta, c }: GemmTile, kernel: Heart, scratch: number): void {
  const { mr, mc } = BLOCKING[dtype];
  const nc = c.rows <= mr ? FLAT_NC : BLOCKING[dtype].nc;
  const { bytes } = DTYPES[dtype];
  const layout = scratchLayout(dtype);
  const [packedA, packedB, sums] = [
    scratch + layout.packedA,
    scratch + layout.packedB,
    scratch + layout.sums,
  ];
  const at = (v: View, i: number, j: number) => (v.offset + i * v.rowStride + j * v.colStride) * bytes;
  const [rowA, colA, rowB, colB] = [a.rowStride, a.colStride, b.rowStride, b.colStride].map(s => s * bytes);
  // Loop 5: columns of B and C, nc at a time.
  for (const jc of ranges(c.cols, nc)) {
    // Loop 4: the inner dimension, in panels. Every panel adds to the same C, so this loop is never parallel.
    for (const pc of panels(a.cols, dtype)) {
      kernel.packB(at(b, pc.start, jc.start), colB!, rowB!, jc.length, pc.length, packedB);
      const betaHere = pc.start === 0 ? beta : 1;
      // Loop 3: rows of A and C, mc at a time. Loops 2 and 1 are inside `multiply`.
      for (const ic of ranges(c.rows, mc)) {
        kernel.packA(at(a, ic.start, pc.start), rowA!, colA!, ic.length, pc.length, packedA);
        kernel.multiply(
          packedA,
          packedB,
          sums,
          ic.length,
          jc.length,
          pc.length,
          at(c, ic.start, jc.start),
          c.rowStride * bytes,
          c.colStride * bytes,
          alpha,
          betaHere,
        );
      }
    }
  }
}
