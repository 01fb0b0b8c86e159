// A check has a test that it can fail: kernels with one fault each.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DTYPES, floatArray } from '../../../shared/math/dtype.ts';
import type { GemmTile, Kernel } from '../../../workers/kernels/kernel.ts';
import { createReferenceKernel } from '../../../workers/kernels/reference/reference-kernel.ts';
import { selfTest } from '../../../workers/kernels/self-test.ts';
import { createKernel, scratchBytes } from '../../../workers/kernels/source.ts';
import { availableSources } from './sources.ts';

const PAGE = 65536;

function memoryOf(scratch: number) {
  const pages = Math.ceil(scratch / PAGE) + 1;
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  return { memory, scratch: { byteOffset: 0, byteLength: scratch }, free: (pages - 1) * PAGE };
}

for (const [label, source] of availableSources()) {
  test(`the ${label} kernel passes its self-test`, () => {
    const { memory, scratch, free } = memoryOf(scratchBytes(source.name));
    assert.equal(selfTest(createKernel(source, memory, scratch), memory, free), undefined);
  });
}

type Elements = Float64Array | Float32Array;

/** The reference kernel with something done to the tile before, or to the memory after. */
const faults: Record<string, (right: Kernel, tile: GemmTile, data: Elements) => void> = {
  'one element a unit in the last place off': (right, tile, data) => {
    right.gemm(tile);
    data[tile.c.offset]! *= 1 + 2 * DTYPES[tile.dtype].unitRoundoff;
  },
  'α forgotten': (right, tile) => right.gemm({ ...tile, alpha: 1 }),
  'β forgotten': (right, tile) => right.gemm({ ...tile, beta: 0 }),
  'C read at β = 0': (right, tile, data) => {
    const before = data[tile.c.offset]!;
    right.gemm(tile);
    if (tile.beta === 0) data[tile.c.offset]! += 0 * before;
  },
  'zeros skipped': (right, tile, data) => {
    for (let e = tile.a.offset; e < tile.c.offset; e++) if (Number.isNaN(data[e])) data[e] = 0;
    right.gemm(tile);
  },
  'strides ignored': (right, tile) => {
    const { rows, cols } = tile.a;
    right.gemm({ ...tile, a: { ...tile.a, rowStride: Math.max(1, cols), colStride: rows > 0 ? 1 : 0 } });
  },
  'nothing written': () => {},
};

for (const [label, gemm] of Object.entries(faults)) {
  for (const broken of ['float64', 'float32'] as const) {
    test(`the self-test finds a ${broken} kernel with ${label}`, () => {
      const { memory, scratch, free } = memoryOf(scratchBytes('reference'));
      const right = createReferenceKernel(memory, scratch);
      const wrong: Kernel = {
        name: 'reference',
        gemm: tile => {
          const elements = memory.buffer.byteLength / DTYPES[tile.dtype].bytes;
          const data = floatArray(tile.dtype, memory.buffer, 0, elements);
          if (tile.dtype === broken) gemm(right, tile, data);
          else right.gemm(tile);
        },
      };
      assert.match(selfTest(wrong, memory, free) ?? 'no fault found', new RegExp(`^${broken}: `));
    });
  }
}
