// Matrix-vector products by definition: the oracle for the WASM ones, and what a runtime without SIMD uses.

import { DTYPES, floatArray } from '../../../shared/math/dtype.ts';
import { assertFingerprint, assertMatvec } from '../preconditions.ts';
import type { Vectors } from '../vectors.ts';

export function createReferenceVectors(memory: WebAssembly.Memory): Vectors {
  return {
    matvec(tile) {
      const { dtype, a, x, y, w, z } = tile;
      assertMatvec(tile, memory.buffer.byteLength);
      const matrix = floatArray(dtype, memory.buffer, 0, memory.buffer.byteLength / DTYPES[dtype].bytes);
      const vectors = new Float64Array(memory.buffer);
      for (let i = 0; i < a.rows; i++) {
        let [sum, size] = [0, 0];
        for (let j = 0; j < a.cols; j++) {
          const element = matrix[a.offset + i * a.rowStride + j * a.colStride]!;
          sum += element * vectors[x + j]!;
          size += Math.abs(element) * vectors[w + j]!;
        }
        vectors[y + i] = sum;
        vectors[z + i] = size;
      }
    },
    fingerprint(range) {
      assertFingerprint(range, memory.buffer.byteLength);
      const { byteOffset, byteLength, to } = range;
      const words = new BigUint64Array(memory.buffer, byteOffset, byteLength / 8);
      const sums = new BigUint64Array(4);
      for (let at = 0; at < words.length; at += 2) {
        for (let half = 0; half < 2; half++) {
          sums[half]! += words[at + half]!;
          sums[2 + half]! += sums[half]!;
        }
      }
      new BigUint64Array(memory.buffer, to, 4).set(sums);
    },
  };
}
