// Matrix-vector products against their definition, in every layout, in both dtypes.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { DTYPES, type Dtype, floatArray } from '../../../shared/math/dtype.ts';
import type { View } from '../../../shared/math/view.ts';
import { createReferenceVectors } from '../../../workers/kernels/reference/reference-vectors.ts';
import { createVectors } from '../../../workers/kernels/source.ts';
import { FINGERPRINT_BYTES, type Vectors } from '../../../workers/kernels/vectors.ts';
import { fill, LAYOUT_NAMES, LAYOUTS, seededRandom } from './fixture.ts';
import { availableSources } from './sources.ts';

const BYTES = 2 ** 20;
/** x, w, y, z, and A behind them; all guarded by what lies between. */
const [X, W, Y, Z, A] = [8, 1024, 2048, 3072, 4096];

/** One implementation for each kind of source; the relaxed module shares the strict one's. */
const kinds: Record<string, (memory: WebAssembly.Memory) => Vectors> = Object.fromEntries(
  [...availableSources()].map(([label, source]) => [label, memory => createVectors(source, memory)]),
);

function pages(count: number): WebAssembly.Memory {
  return new WebAssembly.Memory({ initial: count, maximum: count, shared: true });
}

for (const [label, create] of Object.entries(kinds)) {
  for (const dtype of ['float64', 'float32'] as const) {
    describe(`${label}, ${dtype}`, () => {
      const memory = pages(BYTES / 65536);
      const vectors = create(memory);
      const data = floatArray(dtype, memory.buffer, 0, BYTES / DTYPES[dtype].bytes);
      const doubles = new Float64Array(memory.buffer);

      function viewOf(rows: number, cols: number, layout: keyof typeof LAYOUTS): View {
        return { rows, cols, offset: (A * 8) / DTYPES[dtype].bytes + 1, ...LAYOUTS[layout](rows, cols) };
      }

      /** Runs with w = x, y and z poisoned and guarded. @returns z or y */
      function product(a: View, magnitude: boolean): Float64Array {
        doubles.copyWithin(W, X, X + a.cols);
        for (const to of [Y, Z]) doubles.fill(Number.NaN, to - 2, to + a.rows + 2);
        vectors.matvec({ dtype, a, x: X, w: W, y: Y, z: Z });
        for (const to of [Y, Z])
          for (const guard of [to - 2, to - 1, to + a.rows, to + a.rows + 1])
            assert.ok(Number.isNaN(doubles[guard]), 'only y and z are written');
        const to = magnitude ? Z : Y;
        return doubles.slice(to, to + a.rows);
      }

      test('integer products and their magnitudes are exact at every size, in every layout', () => {
        for (const rows of [0, 1, 2, 3, 4, 5, 7, 8, 9, 17]) {
          for (const cols of [0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33]) {
            for (const layout of LAYOUT_NAMES) {
              for (const magnitude of [false, true]) {
                const a = viewOf(rows, cols, layout);
                data.fill(Number.NaN, a.offset, a.offset + 6 * (rows + 4) * (cols + 4));
                const entry = (i: number, j: number) => ((5 * i + 3 * j) % 11) - 5;
                fill(data, a, entry);
                for (let j = 0; j < cols; j++) doubles[X + j] = ((7 * j) % 5) - 2;
                const want = Float64Array.from({ length: rows }, (_, i) => {
                  let sum = 0;
                  for (let j = 0; j < cols; j++) {
                    sum += (magnitude ? Math.abs(entry(i, j)) : entry(i, j)) * (((7 * j) % 5) - 2);
                  }
                  return sum;
                });
                const got = product(a, magnitude);
                // −0 and +0 are the same sum here: only where the zero comes from differs between layouts.
                assert.deepEqual(
                  got.map(v => v + 0),
                  want.map(v => v + 0),
                  `${rows}×${cols} ${layout}`,
                );
              }
            }
          }
        }
      });

      test('sums are made in float64, so that a float32 matrix loses nothing', () => {
        for (const layout of LAYOUT_NAMES) {
          const a = viewOf(3, 5, layout);
          // 2²³ − 1 squared needs 46 bits, and five of them 49.
          fill(data, a, () => 2 ** 23 - 1);
          doubles.fill(2 ** 23 - 1, X, X + 5);
          assert.deepEqual(
            [...product(a, false)],
            [1, 1, 1].map(() => 5 * (2 ** 23 - 1) ** 2),
          );
        }
      });

      test('NaN and infinities of A and of x are not lost, also against zeros', () => {
        for (const layout of LAYOUT_NAMES) {
          for (const j of [0, 8, 16]) {
            const a = viewOf(5, 17, layout);
            fill(data, a, (i, p) => (i === 2 && p === j ? Number.POSITIVE_INFINITY : 1));
            doubles.fill(1, X, X + 17);
            doubles[X + j] = 0;
            assert.deepEqual([...product(a, false)], [16, 16, Number.NaN, 16, 16]);
            doubles[X + j] = -1;
            assert.deepEqual([...product(a, true)], [15, 15, Number.NEGATIVE_INFINITY, 15, 15]);
          }
        }
      });

      test('a fingerprint changes with every bit, and with words that change places', () => {
        const bytes = new Uint8Array(memory.buffer);
        const [range, to] = [{ byteOffset: 8 * A, byteLength: 16 * 37 }, 8 * Y];
        const print = (create = vectors) => {
          create.fingerprint({ ...range, to });
          return Buffer.from(bytes.slice(to, to + FINGERPRINT_BYTES)).toString('hex');
        };
        const random = seededRandom(3);
        for (let e = 0; e < 2 * 37; e++) doubles[A + e] = random();
        const before = print();
        assert.equal(print(), before);
        assert.equal(print(createReferenceVectors(memory)), before);
        for (let bit = 0; bit < 8 * range.byteLength; bit++) {
          bytes[range.byteOffset + (bit >> 3)]! ^= 1 << (bit & 7);
          assert.notEqual(print(), before, `bit ${bit}`);
          bytes[range.byteOffset + (bit >> 3)]! ^= 1 << (bit & 7);
        }
        for (const [i, j] of [
          [0, 1],
          [0, 2],
          [5, 71],
          [72, 73],
        ] as const) {
          const kept = [doubles[A + i]!, doubles[A + j]!] as const;
          [doubles[A + j], doubles[A + i]] = kept;
          assert.notEqual(print(), before, `words ${i} and ${j}`);
          [doubles[A + i], doubles[A + j]] = kept;
        }
        assert.equal(print(), before);
      });

      test('random products are within the rounding bound of the reference (seed 99)', () => {
        const random = seededRandom(99);
        const reference = createReferenceVectors(memory);
        const cols = 777;
        for (const layout of LAYOUT_NAMES) {
          const a = viewOf(21, cols, layout);
          fill(data, a, random);
          for (let j = 0; j < cols; j++) doubles[X + j] = random() < 0 ? -1 : 1;
          const got = product(a, false);
          reference.matvec({ dtype, a, x: X, w: X, y: Y, z: Z });
          const want = doubles.slice(Y, Y + 21);
          doubles.fill(1, X, X + cols);
          const magnitudes = product(a, true);
          got.forEach((value, i) => {
            const bound = 2 * cols * 2 ** -53 * magnitudes[i]! * (1 + 1e-12);
            assert.ok(Math.abs(value - want[i]!) <= bound);
          });
        }
      });
    });
  }
}

test('matrix and vectors beyond 2 GiB are reached', () => {
  const memory = pages(65536);
  const doubles = new Float64Array(memory.buffer);
  for (const create of Object.values(kinds)) {
    const vectors = create(memory);
    const end = doubles.length;
    for (const [rowStride, colStride] of [
      [5, 1],
      [1, 4],
    ] as const) {
      const a: View = { rows: 4, cols: 5, offset: end - 20, rowStride, colStride };
      fill(doubles, a, (i, j) => i - j);
      for (let j = 0; j < 5; j++) doubles[2 ** 28 - 2 + j] = j;
      const x = 2 ** 28 - 2;
      vectors.matvec({ dtype: 'float64', a, x, w: x, y: end - 30, z: end - 40 });
      assert.deepEqual([...doubles.slice(end - 30, end - 26)], [-30, -20, -10, 0]);
      assert.deepEqual([...doubles.slice(end - 40, end - 36)], [30, 20, 12, 8]);
    }
  }
});

test('a vector outside the memory is a bug of the caller', () => {
  const vectors = createReferenceVectors(pages(1));
  const dtype: Dtype = 'float64';
  const a: View = { rows: 2, cols: 3, offset: 0, rowStride: 3, colStride: 1 };
  const inside = { dtype, a, x: 8192 - 3, w: 200, y: 100, z: 300 };
  vectors.matvec(inside);
  for (const [name, at] of Object.entries({ x: 8192 - 2, w: 8192 - 2, y: 8192 - 1, z: 8192 - 1 }))
    assert.throws(() => vectors.matvec({ ...inside, [name]: at }), new RegExp(`${name} lies inside`));
});
