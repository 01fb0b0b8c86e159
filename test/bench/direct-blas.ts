// The same BLAS called with nothing between: what our tiles, views and checks cost is the difference.

import { DTYPES, floatArray } from '../../shared/math/dtype.ts';
import type { GemmTile } from '../../workers/kernels/kernel.ts';
import { loadLibrary } from '../../workers/kernels/native/foreign.ts';
import type { Contender } from './measure.ts';

const ROW_MAJOR = 101;
const NO_TRANSPOSE = 111;
const NAMES = { float64: ['cblas_dgemm', 'double'], float32: ['cblas_sgemm', 'float'] } as const;

/** One call of the library over dense row-major operands, with its arguments made beforehand. */
export function directBlas(libraryPath: string, memory: WebAssembly.Memory, tile: GemmTile): Contender {
  const { dtype, a, b, c, alpha, beta } = tile;
  const [name, real] = NAMES[dtype];
  const library = loadLibrary(libraryPath);
  // Absent from the serial build, which has nothing to be told.
  library?.find('void bli_thread_set_num_threads(int64_t threads)')?.(1);
  library?.find('void openblas_set_num_threads(int threads)')?.(1);
  const gemm = library?.find(
    `void ${name}(int order, int transA, int transB, int m, int n, int k, ${real} alpha, const void *a, int lda, const void *b, int ldb, ${real} beta, void *c, int ldc)`,
  );
  if (gemm === undefined) throw new Error(`${libraryPath} has no ${name}`);
  const all = floatArray(dtype, memory.buffer, 0, memory.buffer.byteLength / DTYPES[dtype].bytes);
  const [left, right, result] = [a, b, c].map(view => all.subarray(view.offset));
  const sizes = [c.rows, c.cols, a.cols];
  return {
    name: 'blas',
    run: () =>
      void gemm(
        ROW_MAJOR,
        NO_TRANSPOSE,
        NO_TRANSPOSE,
        ...sizes,
        alpha,
        left,
        a.rowStride,
        right,
        b.rowStride,
        beta,
        result,
        c.rowStride,
      ),
  };
}
