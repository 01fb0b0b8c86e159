// Which tiles a BLAS is trusted with. Runs where this machine has one; elsewhere there is no native kernel to test.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { denseView, transposeView } from '../../../../shared/math/view.ts';
import type { GemmTile, Kernel } from '../../../../workers/kernels/kernel.ts';
import { createNativeKernel } from '../../../../workers/kernels/native/native-kernel.ts';
import { availableSources } from '../sources.ts';

const source = availableSources().get('native');
if (source?.name === 'native') {
  const memory = new WebAssembly.Memory({ initial: 2, maximum: 2, shared: true });
  const data = new Float64Array(memory.buffer);
  let fallbacks = 0;
  const fallback: Kernel = {
    name: 'reference',
    gemm: () => {
      fallbacks += 1;
    },
  };
  const kernel = createNativeKernel(source.libraryPath, memory, fallback)!;
  const good: GemmTile = {
    dtype: 'float64',
    alpha: 1,
    a: denseView(2, 3, 0),
    b: denseView(3, 4, 100),
    beta: 0,
    c: denseView(2, 4, 200),
  };

  const cases: Record<string, [Partial<GemmTile>, 'library' | 'fallback']> = {
    'dense rows': [{}, 'library'],
    'transposed operands': [{ a: denseView(2, 3, 0, 'F'), b: denseView(3, 4, 100, 'F') }, 'library'],
    'a transposed result': [{ c: denseView(2, 4, 200, 'F') }, 'library'],
    'padded rows': [{ a: { ...denseView(2, 3, 0), rowStride: 9 } }, 'library'],
    'a row with any stride': [
      { a: { ...denseView(1, 3, 0), rowStride: 1 }, c: denseView(1, 4, 200) },
      'library',
    ],
    'a column of a matrix': [
      { b: { ...denseView(3, 1, 100), rowStride: 7 }, c: denseView(2, 1, 200) },
      'library',
    ],
    'no unit stride in A': [{ a: { ...denseView(2, 3, 0), rowStride: 9, colStride: 2 } }, 'fallback'],
    'no unit stride in C': [{ c: { ...denseView(2, 4, 200), rowStride: 9, colStride: 2 } }, 'fallback'],
    'a repeated row': [{ a: { ...denseView(2, 3, 0), rowStride: 0 } }, 'fallback'],
    'α = 0, which would lose NaNs': [{ alpha: 0 }, 'fallback'],
    'an empty inner dimension': [{ a: denseView(2, 0, 0), b: denseView(0, 4, 100) }, 'fallback'],
  };
  for (const [label, [change, who]] of Object.entries(cases)) {
    test(`${label}: the ${who} fills the tile`, () => {
      fallbacks = 0;
      data.fill(1);
      const tile = { ...good, ...change };
      kernel.gemm(tile);
      assert.equal(fallbacks, who === 'fallback' ? 1 : 0);
      // All ones: every element is k; untouched by the fallback, which does nothing here.
      assert.equal(data[tile.c.offset], who === 'fallback' ? 1 : tile.a.cols);
    });
  }

  test('an empty result needs neither', () => {
    fallbacks = 0;
    kernel.gemm({ ...good, a: transposeView(denseView(3, 0, 0)), c: denseView(0, 4, 200) });
    assert.equal(fallbacks, 0);
  });
}
