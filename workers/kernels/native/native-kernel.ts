// The native kernel: a system BLAS, called on views in place. Single-threaded; the tiles are what runs in parallel.
// What BLAS cannot express, or expresses otherwise than the contract, goes to another kernel.

import { DTYPES, type Dtype, type FloatArray, floatArray } from '../../../shared/math/dtype.ts';
import { transposeView, type View } from '../../../shared/math/view.ts';
import type { GemmTile, Kernel } from '../kernel.ts';
import { assertTile } from '../preconditions.ts';
import { type ForeignFunction, loadLibrary } from './foreign.ts';
import { BLAS_LIBRARIES } from './libraries.ts';

const ROW_MAJOR = 101;
const NO_TRANSPOSE = 111;
const TRANSPOSE = 112;
const INT_MAX = 2 ** 31 - 1;

/** A view as BLAS sees a row-major matrix. */
interface BlasMatrix {
  readonly transpose: typeof NO_TRANSPOSE | typeof TRANSPOSE;
  readonly leadingDimension: number;
}

/**
 * @param libraryPath of a BLAS with the C interface; loaded anew in every thread, which costs nothing.
 * @param fallback for tiles without unit strides or beyond 32-bit sizes, and for α = 0 or k = 0, where BLAS
 * returns early and loses NaNs.
 * @returns undefined where the library or a function of it cannot be loaded.
 */
export function createNativeKernel(
  libraryPath: string,
  memory: WebAssembly.Memory,
  fallback: Kernel,
): Kernel | undefined {
  const functions = loadGemm(libraryPath);
  if (functions === undefined) return undefined;
  return {
    name: 'native',
    gemm(tile) {
      assertTile(tile, memory.buffer.byteLength);
      const oriented = tile.c.colStride === 1 || tile.c.cols === 1 ? tile : transposed(tile);
      const a = blasMatrix(oriented.a);
      const b = blasMatrix(oriented.b);
      const c = blasMatrix(oriented.c);
      const { alpha, beta, dtype } = oriented;
      const { rows: m, cols: n } = oriented.c;
      const k = oriented.a.cols;
      if (m === 0 || n === 0) return;
      if (!a || !b || c?.transpose !== NO_TRANSPOSE || alpha === 0 || k === 0) return fallback.gemm(tile);
      functions[dtype](
        ROW_MAJOR,
        a.transpose,
        b.transpose,
        m,
        n,
        k,
        alpha,
        elements(memory, dtype, oriented.a),
        a.leadingDimension,
        elements(memory, dtype, oriented.b),
        b.leadingDimension,
        beta,
        elements(memory, dtype, oriented.c),
        c.leadingDimension,
      );
    },
  };
}

/** Cᵀ = Bᵀ·Aᵀ, for a C whose columns are contiguous. */
function transposed(tile: GemmTile): GemmTile {
  return { ...tile, a: transposeView(tile.b), b: transposeView(tile.a), c: transposeView(tile.c) };
}

/** How BLAS can name a view; undefined where neither stride is one, lines overlap, or a number is too large. */
function blasMatrix(v: View): BlasMatrix | undefined {
  return (
    asRows(v.rows, v.cols, v.rowStride, v.colStride, NO_TRANSPOSE) ??
    asRows(v.cols, v.rows, v.colStride, v.rowStride, TRANSPOSE)
  );
}

/** The stride of a dimension of length 1 has no meaning, so that any will do. */
function asRows(
  rows: number,
  cols: number,
  rowStride: number,
  colStride: number,
  transpose: BlasMatrix['transpose'],
): BlasMatrix | undefined {
  const leadingDimension = rows === 1 ? cols : rowStride;
  if (cols !== 1 && colStride !== 1) return undefined;
  if (leadingDimension < cols || leadingDimension > INT_MAX || rows > INT_MAX) return undefined;
  return { transpose, leadingDimension };
}

/** The elements from a view's first to its last, as the foreign function's pointer. */
function elements(memory: WebAssembly.Memory, dtype: Dtype, v: View): FloatArray {
  const length = (v.rows - 1) * v.rowStride + (v.cols - 1) * v.colStride + 1;
  return floatArray(dtype, memory.buffer, v.offset * DTYPES[dtype].bytes, length);
}

/** Whether the library can be loaded and has what a native kernel calls. */
export function hasGemm(libraryPath: string): boolean {
  return loadGemm(libraryPath) !== undefined;
}

function loadGemm(path: string): Record<Dtype, ForeignFunction> | undefined {
  const library = loadLibrary(path);
  const float64 = library?.find(prototype('cblas_dgemm', 'double'));
  const float32 = library?.find(prototype('cblas_sgemm', 'float'));
  if (!library || !float64 || !float32) return undefined;
  for (const { setThreads } of BLAS_LIBRARIES) {
    if (setThreads) library.find(setThreads.prototype)?.(setThreads.value);
  }
  return { float64, float32 };
}

function prototype(name: string, real: 'double' | 'float'): string {
  return `void ${name}(int order, int transA, int transB, int m, int n, int k, ${real} alpha, const void *a, int lda, const void *b, int ldb, ${real} beta, void *c, int ldc)`;
}
