// A small shared memory around one kernel: scratch, then operands, everything else poisoned, so that a test sees
// both a wrong result and a write that went astray.

import assert from 'node:assert/strict';
import { DTYPES, type Dtype, type FloatArray, floatArray } from '../../../shared/math/dtype.ts';
import type { View } from '../../../shared/math/view.ts';
import type { GemmTile, Kernel } from '../../../workers/kernels/kernel.ts';
import { createKernel, type KernelSource, scratchBytes } from '../../../workers/kernels/source.ts';

/** How a matrix lies in memory: strides as functions of its shape. */
export const LAYOUTS = {
  rows: (_rows: number, cols: number) => ({ rowStride: cols, colStride: 1 }),
  columns: (rows: number, _cols: number) => ({ rowStride: 1, colStride: rows }),
  'padded rows': (_rows: number, cols: number) => ({ rowStride: cols + 3, colStride: 1 }),
  'padded columns': (rows: number, _cols: number) => ({ rowStride: 1, colStride: rows + 5 }),
  'no unit stride': (_rows: number, cols: number) => ({ rowStride: 3 * cols + 1, colStride: 3 }),
  'no unit stride, transposed': (rows: number, _cols: number) => ({ rowStride: 2, colStride: 2 * rows + 7 }),
} as const;
export type Layout = keyof typeof LAYOUTS;
export const LAYOUT_NAMES = Object.keys(LAYOUTS) as Layout[];

const PAGE_BYTES = 65536;
const GUARD_ELEMENTS = 9;
const POISON = 0xfff7a5a5;

export interface Fixture {
  readonly dtype: Dtype;
  readonly kernel: Kernel;
  readonly memory: WebAssembly.Memory;
  /** The whole memory, as elements and as bits. */
  readonly data: FloatArray;
  /** A new matrix behind the last one, with a guard between. Its elements are poison. */
  allocate(rows: number, cols: number, layout: Layout): View;
  /** Forgets all matrices, and poisons the scratch region and the first `elements` after it. */
  reset(elements: number): void;
  /** Asserts that nothing changed since `reset` but the elements of these views. */
  assertUntouched(...except: readonly View[]): void;
}

/** `dataBytes` for operands; `startByte` moves everything up in a memory of `memoryBytes`. */
export function createFixture(
  source: KernelSource,
  dtype: Dtype,
  dataBytes: number,
  place?: { readonly memoryBytes: number; readonly startByte: number },
): Fixture {
  const { bytes } = DTYPES[dtype];
  const needed = scratchBytes(source.name) + dataBytes;
  const { memoryBytes, startByte } = place ?? { memoryBytes: needed, startByte: 0 };
  const pages = Math.ceil(memoryBytes / PAGE_BYTES);
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  const byteLength = scratchBytes(source.name);
  const kernel = createKernel(source, memory, { byteOffset: startByte, byteLength });
  const data = floatArray(dtype, memory.buffer, 0, memory.buffer.byteLength / bytes);
  const firstElement = (startByte + byteLength) / bytes;
  const words = (from: number, to: number) =>
    new Uint32Array(memory.buffer, from * bytes, ((to - from) * bytes) / 4);
  let next = firstElement;
  let end = firstElement;
  return {
    dtype,
    kernel,
    memory,
    data,
    allocate(rows, cols, layout) {
      const view = { rows, cols, offset: next + GUARD_ELEMENTS, ...LAYOUTS[layout](rows, cols) };
      next = Math.max(view.offset, lastElement(view) + 1);
      assert.ok(next + GUARD_ELEMENTS <= end, 'the fixture is large enough');
      return view;
    },
    reset(elements) {
      next = firstElement;
      end = firstElement + elements;
      words(startByte / bytes, end).fill(POISON);
    },
    assertUntouched(...except) {
      const allowed = new Set(except.flatMap(elementsOf));
      const bits = words(firstElement, end);
      const step = bytes / 4;
      for (let i = 0; i < bits.length; i += step) {
        const clean = bits[i] === POISON && bits[i + step - 1] === POISON;
        if (!clean) assert.ok(allowed.has(firstElement + i / step), `element ${i / step} was written`);
      }
    },
  };
}

export function at(v: View, i: number, j: number): number {
  return v.offset + i * v.rowStride + j * v.colStride;
}

function lastElement(v: View): number {
  return v.rows === 0 || v.cols === 0 ? v.offset - 1 : at(v, v.rows - 1, v.cols - 1);
}

function elementsOf(v: View): number[] {
  return Array.from({ length: v.rows * v.cols }, (_, e) => at(v, Math.floor(e / v.cols), e % v.cols));
}

export function fill(data: FloatArray, v: View, entry: (i: number, j: number) => number): void {
  for (let i = 0; i < v.rows; i++) for (let j = 0; j < v.cols; j++) data[at(v, i, j)] = entry(i, j);
}

/** The elements of a view in row order. */
export function read(data: FloatArray, v: View): FloatArray {
  const out =
    data.constructor === Float64Array ? new Float64Array(v.rows * v.cols) : new Float32Array(v.rows * v.cols);
  for (let i = 0; i < v.rows; i++) for (let j = 0; j < v.cols; j++) out[i * v.cols + j] = data[at(v, i, j)]!;
  return out;
}

/** α·A·B + β·C by definition, in float64: exact where all values are small integers. Independent of any kernel. */
export function expected(data: FloatArray, { alpha, a, b, beta, c }: GemmTile): Float64Array {
  const left = read(data, a);
  const right = read(data, b);
  const out = new Float64Array(c.rows * c.cols);
  for (let i = 0; i < c.rows; i++) {
    for (let p = 0; p < a.cols; p++) {
      const x = left[i * a.cols + p]!;
      for (let j = 0; j < c.cols; j++) out[i * c.cols + j]! += x * right[p * c.cols + j]!;
    }
    for (let j = 0; j < c.cols; j++) {
      const product = alpha * out[i * c.cols + j]!;
      out[i * c.cols + j] = beta === 0 ? product : product + beta * data[at(c, i, j)]!;
    }
  }
  return out;
}

/** A seeded uniform generator on [−1, 1): mulberry32. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 31 - 1;
  };
}
