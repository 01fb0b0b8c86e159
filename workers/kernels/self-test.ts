// A kernel is believed only after it has answered questions whose answers are known: a miscompiled module or a BLAS
// of another interface is found here, before it touches a job. Small enough for the main thread at start-up.

import { DTYPES, type Dtype, floatArray } from '../../shared/math/dtype.ts';
import { denseView } from '../../shared/math/view.ts';
import type { GemmTile, Kernel } from './kernel.ts';

// Odd sizes, and an inner dimension past one panel. Products of small integers are exact in either dtype and any order.
const [M, K, N] = [7, 301, 11];
const [ALPHA, BETA] = [2, -3];

/**
 * Asks `kernel`, which works on `memory`, about both dtypes. Overwrites 64 KiB from `byteOffset` on.
 * @returns a sentence about the first wrong answer, or undefined where all are right.
 */
export function selfTest(kernel: Kernel, memory: WebAssembly.Memory, byteOffset: number): string | undefined {
  for (const dtype of ['float64', 'float32'] as const) {
    const fault =
      testProduct(kernel, dtype, memory, byteOffset, 'C') ??
      testProduct(kernel, dtype, memory, byteOffset, 'F') ??
      testNaN(kernel, dtype, memory, byteOffset);
    if (fault !== undefined) return `${dtype}: ${fault}`;
  }
  return undefined;
}

type Memory = WebAssembly.Memory;

function prepare(dtype: Dtype, memory: Memory, byteOffset: number, order: 'C' | 'F') {
  const offset = byteOffset / DTYPES[dtype].bytes;
  const a = denseView(M, K, offset, order);
  const b = denseView(K, N, offset + M * K, order);
  const c = denseView(M, N, offset + M * K + K * N);
  const data = floatArray(dtype, memory.buffer, 0, offset + M * K + K * N + M * N);
  for (let i = 0; i < M; i++) for (let p = 0; p < K; p++) data[element(a, i, p)] = entryA(i, p);
  for (let p = 0; p < K; p++) for (let j = 0; j < N; j++) data[element(b, p, j)] = entryB(p, j);
  for (let i = 0; i < M; i++) for (let j = 0; j < N; j++) data[element(c, i, j)] = i - j;
  return { data, tile: { dtype, alpha: ALPHA, a, b, beta: BETA, c } satisfies GemmTile };
}

function element(v: GemmTile['a'], i: number, j: number): number {
  return v.offset + i * v.rowStride + j * v.colStride;
}

function entryA(i: number, p: number): number {
  return ((i * 5 + p * 3) % 7) - 3;
}

function entryB(p: number, j: number): number {
  return ((p * 2 + j * 11) % 13) - 6;
}

function sum(i: number, j: number): number {
  let total = 0;
  for (let p = 0; p < K; p++) total += entryA(i, p) * entryB(p, j);
  return total;
}

function testProduct(kernel: Kernel, dtype: Dtype, memory: Memory, byteOffset: number, order: 'C' | 'F') {
  const { data, tile } = prepare(dtype, memory, byteOffset, order);
  kernel.gemm(tile);
  for (let i = 0; i < M; i++) {
    for (let j = 0; j < N; j++) {
      if (data[element(tile.c, i, j)] !== ALPHA * sum(i, j) + BETA * (i - j)) return 'a product is wrong';
    }
  }
  return undefined;
}

/** One row of A holds NaN at a place where B holds zero; C is poisoned, and β = 0 must not read it. */
function testNaN(kernel: Kernel, dtype: Dtype, memory: Memory, byteOffset: number): string | undefined {
  const { data, tile } = prepare(dtype, memory, byteOffset, 'C');
  data[element(tile.a, 1, 2)] = Number.NaN;
  for (let j = 0; j < N; j++) data[element(tile.b, 2, j)] = 0;
  data.fill(Number.NaN, tile.c.offset, tile.c.offset + M * N);
  kernel.gemm({ ...tile, beta: 0 });
  for (let i = 0; i < M; i++) {
    for (let j = 0; j < N; j++) {
      const lost = !Number.isNaN(data[element(tile.c, i, j)]);
      if (!lost && i !== 1) return 'β = 0 reads C';
      if (lost && i === 1) return 'NaN · 0 is lost';
    }
  }
  return undefined;
}
