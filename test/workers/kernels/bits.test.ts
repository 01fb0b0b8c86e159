// The promise behind reproducible jobs: the strict WASM kernel and the reference have the same bits, so a worker
// without WebAssembly SIMD answers with the same bytes.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileWasmKernel } from '../../../workers/kernels/wasm/compile.ts';
import { createFixture, fill, read, seededRandom } from './fixture.ts';

const SEED = 4711;

for (const dtype of ['float64', 'float32'] as const) {
  test(`strict WASM and the reference agree to the last bit in ${dtype} (seed ${SEED})`, () => {
    const strict = createFixture({ name: 'wasm', module: compileWasmKernel('strict') }, dtype, 2 ** 23);
    const reference = createFixture({ name: 'reference' }, dtype, 2 ** 23);
    for (const [m, k, n, layoutB = 'columns'] of [
      [1, 1, 1],
      [7, 3, 9],
      [5, 0, 6],
      [67, 256, 33],
      [33, 257, 67],
      [130, 700, 521],
      [1, 900, 50],
      [1, 301, 1051, 'rows'],
      [1, 30, 19, 'padded rows'],
      [50, 901, 1],
      [50, 301, 3],
      [50, 301, 4],
      [50, 301, 5],
    ] as const) {
      for (const [alpha, beta] of [
        [1, 0],
        [1, 1],
        [0.1, -1.7],
      ] as const) {
        const results = [strict, reference].map(fixture => {
          const random = seededRandom(SEED + m);
          // Magnitudes from subnormal products up to 2^60, so that sums round in every place.
          const wide = () => random() * 2 ** Math.round(60 * random() - (dtype === 'float32' ? 20 : 0));
          fixture.reset(2 * (m * k + k * n + m * n) + 100);
          const a = fixture.allocate(m, k, 'rows');
          const b = fixture.allocate(k, n, layoutB);
          const c = fixture.allocate(m, n, 'padded rows');
          for (const view of [a, b, c]) fill(fixture.data, view, wide);
          fixture.kernel.gemm({ dtype, alpha, a, b, beta, c });
          return read(fixture.data, c);
        });
        // Object.is semantics: −0 and +0 differ.
        assert.deepStrictEqual(results[0], results[1], `${m}×${k}×${n}, α = ${alpha}, β = ${beta}`);
        assert.ok(results[0]!.every(Number.isFinite));
      }
    }
  });

  test(`a sum is made in panels of 256 in ${dtype}, as the published order of summation says`, () => {
    const { kernel, data, allocate, reset } = createFixture({ name: 'reference' }, dtype, 2 ** 16);
    reset(4000);
    const a = allocate(1, 512, 'rows');
    const b = allocate(512, 1, 'rows');
    const c = allocate(1, 1, 'rows');
    const u = dtype === 'float64' ? 2 ** -53 : 2 ** -24;
    // Panel 0 is 1 + u + … + u = 1: each u is half a unit in the last place, and ties go to even. Panel 1 is 256·u,
    // exactly, and large enough to be seen. Any other length of panels gives another number.
    fill(data, a, () => 1);
    fill(data, b, p => (p === 0 ? 1 : u));
    kernel.gemm({ dtype, alpha: 1, a, b, beta: 0, c });
    assert.equal(read(data, c)[0], 1 + 256 * u);
  });
}
