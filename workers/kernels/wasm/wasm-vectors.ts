// Matrix-vector products in SIMD (vectors-template.ts). Both variants of the module have the same ones, unfused.

import { DTYPES, type Dtype } from '../../../shared/math/dtype.ts';
import { assertFingerprint, assertMatvec } from '../preconditions.ts';
import type { Vectors } from '../vectors.ts';

type Matvec = (
  a: number,
  rowStride: number,
  colStride: number,
  m: number,
  n: number,
  x: number,
  y: number,
  w: number,
  z: number,
) => void;

/** Needs no scratch. `module` is from `compileWasmKernel`. */
export function createWasmVectors(module: WebAssembly.Module, memory: WebAssembly.Memory): Vectors {
  const { exports } = new WebAssembly.Instance(module, { env: { memory } });
  // The casts hold because the artefact is built from the template that names them.
  const functions: Record<Dtype, Matvec> = {
    float64: exports.matvec_f64 as Matvec,
    float32: exports.matvec_f32 as Matvec,
  };
  const fingerprint = exports.fingerprint as (at: number, vectors: number, to: number) => void;
  return {
    matvec(tile) {
      const { dtype, a, x, y, w, z } = tile;
      assertMatvec(tile, memory.buffer.byteLength);
      const { bytes } = DTYPES[dtype];
      const [rowStride, colStride] = [a.rowStride * bytes, a.colStride * bytes];
      functions[dtype](a.offset * bytes, rowStride, colStride, a.rows, a.cols, x * 8, y * 8, w * 8, z * 8);
    },
    fingerprint(range) {
      assertFingerprint(range, memory.buffer.byteLength);
      const { byteOffset, byteLength, to } = range;
      fingerprint(byteOffset, byteLength / 16, to);
    },
  };
}
