// One body over kernels and dtypes: whatever a kernel is made of, it keeps the contract of kernel.ts.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as np from 'numpy-ts';
import { DTYPES, type Dtype } from '../../../shared/math/dtype.ts';
import { sliceView, transposeView, type View } from '../../../shared/math/view.ts';
import type { GemmTile } from '../../../workers/kernels/kernel.ts';
import {
  at,
  createFixture,
  expected,
  type Fixture,
  fill,
  LAYOUT_NAMES,
  type Layout,
  read,
  seededRandom,
} from './fixture.ts';
import { availableSources } from './sources.ts';

const MIB = 2 ** 20;
const SIZES = [0, 1, 2, 3, 4, 5, 7, 8, 9, 13, 17];
const SEED = 20261123;
const SPECIALS = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
/** What has a path of its own: a tile, single rows and columns, a few of either, and what lies past every block. */
const SPECIAL_SHAPES = [
  [7, 261, 19],
  [1, 261, 19],
  [7, 261, 1],
  [1, 261, 1],
  [7, 261, 3],
  [3, 261, 19],
  [131, 260, 5],
] as const;

for (const [label, source] of availableSources()) {
  for (const dtype of ['float64', 'float32'] as const) {
    describe(`${label}, ${dtype}`, () => {
      const fixture = createFixture(source, dtype, 36 * MIB);

      test('small integer products are exact at every small size, in every layout', () => {
        let turn = 0;
        for (const m of SIZES) {
          for (const n of SIZES) {
            for (const k of [0, 1, 2, 3, 4, 5, 8, 11, 18]) {
              checkExact(fixture, { m, k, n, layouts: layoutsOf(turn++), alpha: 1, beta: 0 });
            }
          }
        }
      });

      test('every combination of layouts is exact', () => {
        for (let turn = 0; turn < LAYOUT_NAMES.length ** 3; turn++) {
          checkExact(fixture, { m: 9, k: 6, n: 19, layouts: layoutsOf(turn), alpha: 1, beta: 1 });
        }
      });

      test('α and β scale as written, zero included', () => {
        let turn = 0;
        for (const alpha of [0, 1, -1, 2.5]) {
          for (const beta of [0, 1, -1, 2.5]) {
            for (const k of [0, 5, 259]) {
              checkExact(fixture, { m: 6, k, n: 10, layouts: layoutsOf(turn++), alpha, beta });
            }
          }
        }
      });

      for (const [m, k, n] of [
        [5, 255, 7],
        [5, 256, 7],
        [5, 257, 9],
        [3, 769, 8],
        [63, 3, 9],
        [64, 128, 64],
        [65, 4, 9],
        [128, 129, 128],
        [129, 64, 129],
        [127, 5, 3],
        [131, 300, 2],
        [2, 300, 131],
        [1, 601, 97],
        [97, 601, 1],
        [9, 3, 511],
        [512, 5, 512],
        [9, 3, 513],
        [3, 5, 1023],
        [1024, 2, 1024],
        [1025, 3, 65],
        [65, 3, 1025],
        [17, 2, 1033],
        [131, 260, 1031],
      ] as const) {
        test(`a product of ${m}×${k} and ${k}×${n} is exact past every block`, () => {
          for (const turn of [43, 101]) {
            checkExact(fixture, { m, k, n, layouts: layoutsOf(turn), alpha: -1, beta: 2.5 });
          }
        });
      }

      test('transposed views are read as what they are', () => {
        fixture.reset(20_000);
        const { data } = fixture;
        const a = transposeView(fixture.allocate(37, 11, 'padded rows'));
        const b = transposeView(fixture.allocate(23, 37, 'rows'));
        const c = transposeView(fixture.allocate(23, 11, 'padded rows'));
        checkViews(fixture, { dtype, alpha: 1, a, b, beta: 0, c }, data);
      });

      test('a repeated row, of stride zero, may be read', () => {
        fixture.reset(5_000);
        const a = { ...fixture.allocate(1, 12, 'rows'), rows: 9, rowStride: 0 };
        const b = fixture.allocate(12, 10, 'rows');
        const c = fixture.allocate(9, 10, 'rows');
        checkViews(fixture, { dtype, alpha: 1, a, b, beta: 0, c }, fixture.data);
      });

      for (const [m, k, n] of SPECIAL_SHAPES) {
        test(`NaN and infinities reach exactly the elements they should, from every edge of ${m}×${k}×${n}`, () => {
          let turn = 0;
          for (const special of SPECIALS)
            for (const i of edges(m, 3))
              for (const p of edges(k, 255, 256))
                checkSpecial(fixture, { m, k, n, ...turnOf(turn++) }, special, i, p);
        });

        test(`so do those of B, and opposite infinities make NaN, in ${m}×${k}×${n}`, () => {
          let turn = 0;
          for (const special of SPECIALS)
            for (const j of edges(n, 8))
              for (const p of edges(k, 255, 256))
                checkSpecialOfB(fixture, { m, k, n, ...turnOf(turn++) }, special, p, j);
        });
      }

      test('integer products with entries to 2^20 are exact', () => {
        for (const layouts of [layoutsOf(0), layoutsOf(43), layoutsOf(101)]) {
          // Sums stay below 2^53, and below 2^24 where 24 bits are all there are.
          if (dtype === 'float64') checkLargeIntegers(fixture, 9, 4096, 11, layouts, 2 ** 20);
          if (dtype === 'float64') checkLargeIntegers(fixture, 67, 300, 33, layouts, 2 ** 20);
          checkLargeIntegers(fixture, 67, 8, 133, layouts, 1);
        }
      });

      test('subnormal numbers are kept', () => {
        fixture.reset(5_000);
        const { data } = fixture;
        const { smallest } = DTYPES[dtype];
        const a = fixture.allocate(5, 9, 'rows');
        const b = fixture.allocate(9, 11, 'rows');
        const c = fixture.allocate(5, 11, 'rows');
        fill(data, a, (i, p) => (i + 2 * p) * smallest);
        fill(data, b, (p, j) => p - j);
        fixture.kernel.gemm({ dtype, alpha: 1, a, b, beta: 0, c });
        const result = read(data, c);
        for (let i = 0; i < 5; i++) {
          for (let j = 0; j < 11; j++) {
            let units = 0;
            for (let p = 0; p < 9; p++) units += (i + 2 * p) * (p - j);
            assert.equal(result[i * 11 + j], units * smallest);
          }
        }
      });

      // BLAS promises the rounding bound and nothing more: its small and ragged tiles take other paths.
      if (source.name !== 'native') {
        test(`a result has the same bits however it is tiled (seed ${SEED})`, () => {
          const random = seededRandom(SEED);
          for (const layout of ['rows', 'columns', 'no unit stride'] as const) {
            checkTiling(fixture, 67, 530, 45, layout, random);
          }
        });
      }

      test(`random products agree with numpy-ts within the rounding bound (seed ${SEED})`, () => {
        const random = seededRandom(SEED);
        for (const [m, k, n] of [
          [31, 37, 41],
          [70, 1, 530],
          [65, 1100, 67],
        ] as const) {
          checkAgainstNumpy(fixture, m, k, n, random);
        }
      });

      test('scratch and operands beyond 2 GiB, up to the last byte of 4 GiB, are reached', () => {
        const bytes = 4 * MIB;
        for (const startByte of [2 ** 31 - bytes / 2, 2 ** 32 - bytes]) {
          const high = createFixture(source, dtype, 0, { memoryBytes: 2 ** 32, startByte });
          checkExact(high, {
            m: 9,
            k: 261,
            n: 21,
            layouts: ['rows', 'columns', 'padded rows'],
            alpha: 1,
            beta: -1,
          });
          const end = 2 ** 32 / DTYPES[dtype].bytes;
          const dense = (rows: number, cols: number, offset: number): View => {
            return { rows, cols, offset, rowStride: cols, colStride: 1 };
          };
          const c = dense(5, 9, end - 45);
          const tile = { dtype, alpha: 1, a: dense(5, 3, end - 90), b: dense(3, 9, end - 75), beta: 0, c };
          checkViews(high, tile, high.data, false);
        }
      });
    });
  }
}

function layoutsOf(turn: number): readonly [Layout, Layout, Layout] {
  const size = LAYOUT_NAMES.length;
  const name = (index: number) => LAYOUT_NAMES[Math.floor(index) % size]!;
  return [name(turn), name(turn / size), name(turn / size / size)];
}

/** The first, the last, and those between that there are. */
function edges(length: number, ...inner: readonly number[]): number[] {
  return [...new Set([0, ...inner.filter(index => index < length), length - 1])];
}

/** A layout for each, and a β, that change from turn to turn. */
function turnOf(turn: number): Pick<Case, 'layouts' | 'alpha' | 'beta'> {
  return { layouts: layoutsOf(7 * turn), alpha: 1, beta: [0, 1, -2][turn % 3]! };
}

interface Case {
  readonly m: number;
  readonly k: number;
  readonly n: number;
  readonly layouts: readonly [Layout, Layout, Layout];
  readonly alpha: number;
  readonly beta: number;
}

function checkExact(fixture: Fixture, { m, k, n, layouts, alpha, beta }: Case): void {
  fixture.reset(4 * (m * k + k * n + m * n) + 8 * (m + k + n) + 100);
  const a = fixture.allocate(m, k, layouts[0]);
  const b = fixture.allocate(k, n, layouts[1]);
  const c = fixture.allocate(m, n, layouts[2]);
  checkViews(fixture, { dtype: fixture.dtype, alpha, a, b, beta, c }, fixture.data);
}

/** Fills A and B, and C where β ≠ 0 (else it stays NaN), multiplies, and compares every element. */
function checkViews(fixture: Fixture, tile: GemmTile, data = fixture.data, guarded = true): void {
  fill(data, tile.a, (i, p) => ((3 * i + 5 * p) % 11) - 5);
  fill(data, tile.b, (p, j) => ((7 * p + 2 * j) % 13) - 6);
  if (tile.beta !== 0) fill(data, tile.c, (i, j) => ((i + 4 * j) % 9) - 4);
  const want = expected(data, tile);
  const [a, b] = [read(data, tile.a), read(data, tile.b)];
  fixture.kernel.gemm(tile);
  const got = read(data, tile.c);
  const wrong = got.findIndex((value, e) => value !== want[e]);
  assert.equal(wrong, -1, `element ${wrong} of ${JSON.stringify(tile)}: ${got[wrong]}, not ${want[wrong]}`);
  assert.deepEqual([read(data, tile.a), read(data, tile.b)], [a, b], 'operands are only read');
  if (guarded) fixture.assertUntouched(tile.a, tile.b, tile.c);
}

/** One special value in A at (i, p), and a row of B, the p-th, with zero, a positive and a negative number in turn. */
function checkSpecial(fixture: Fixture, product: Case, special: number, i: number, p: number): void {
  const { a, b, c } = ones(fixture, product);
  const { data, dtype } = fixture;
  const { m, k, n, beta } = product;
  data[at(a, i, p)] = special;
  for (let j = 0; j < n; j++) data[at(b, p, j)] = (j % 3) - 1;
  fixture.kernel.gemm({ dtype, alpha: 1, a, b, beta, c });
  for (let row = 0; row < m; row++) {
    for (let j = 0; j < n; j++) {
      const factor = (j % 3) - 1;
      const want = (row === i ? special * factor : factor) + (k - 1) + beta;
      assert.equal(data[at(c, row, j)], want, `C(${row}, ${j}) with ${special} at A(${i}, ${p})`);
    }
  }
}

/** One special value in B at (p, j), and a column of A, the p-th, with zero, a positive and a negative number in turn. */
function checkSpecialOfB(fixture: Fixture, product: Case, special: number, p: number, j: number): void {
  const { a, b, c } = ones(fixture, product);
  const { data, dtype } = fixture;
  const { m, k, n, beta } = product;
  const opposite = p === 0 ? k - 1 : 0;
  for (let i = 0; i < m; i++) data[at(a, i, p)] = (i % 3) - 1;
  data[at(b, p, j)] = special;
  // In the last row it meets its opposite, of most places in another panel.
  data[at(a, m - 1, p)] = 1;
  data[at(a, m - 1, opposite)] = Number.NEGATIVE_INFINITY;
  fixture.kernel.gemm({ dtype, alpha: 1, a, b, beta, c });
  for (let i = 0; i < m; i++) {
    for (let column = 0; column < n; column++) {
      const factor = i === m - 1 ? 1 : (i % 3) - 1;
      const met = column === j ? special * factor : factor;
      const rest = i === m - 1 ? Number.NEGATIVE_INFINITY : k - 1 + beta;
      const want = met + rest;
      assert.equal(data[at(c, i, column)], want, `C(${i}, ${column}) with ${special} at B(${p}, ${j})`);
    }
  }
}

/** Operands of ones, and a C of ones where it is read. */
function ones(fixture: Fixture, { m, k, n, layouts, beta }: Case) {
  fixture.reset(4 * (m * k + k * n + m * n) + 8 * (m + k + n) + 100);
  const { data } = fixture;
  const a = fixture.allocate(m, k, layouts[0]);
  const b = fixture.allocate(k, n, layouts[1]);
  const c = fixture.allocate(m, n, layouts[2]);
  for (const view of beta === 0 ? [a, b] : [a, b, c]) fill(data, view, () => 1);
  return { a, b, c };
}

/** A of integers to ±2^20, B of integers to ±`largest`; sums are exact in any order. */
function checkLargeIntegers(
  fixture: Fixture,
  m: number,
  k: number,
  n: number,
  layouts: Case['layouts'],
  largest: number,
): void {
  fixture.reset(4 * (m * k + k * n + m * n) + 8 * (m + k + n) + 100);
  const { data, dtype } = fixture;
  const random = seededRandom(SEED);
  const a = fixture.allocate(m, k, layouts[0]);
  const b = fixture.allocate(k, n, layouts[1]);
  const c = fixture.allocate(m, n, layouts[2]);
  fill(data, a, () => Math.round(random() * 2 ** 20));
  fill(data, b, () => Math.round(random() * largest));
  data[at(a, 0, 0)] = 2 ** 20;
  data[at(b, 0, 0)] = -largest;
  const tile = { dtype, alpha: 1, a, b, beta: 0, c };
  const want = expected(data, tile);
  fixture.kernel.gemm(tile);
  const wrong = read(data, c).findIndex((value, e) => value !== want[e]);
  assert.equal(wrong, -1, `element ${wrong} of ${m}×${k}×${n}`);
}

function checkTiling(
  fixture: Fixture,
  m: number,
  k: number,
  n: number,
  layout: Layout,
  random: () => number,
): void {
  fixture.reset(4 * (m * k + k * n + 2 * m * n) + 1000);
  const { data, dtype, kernel } = fixture;
  const a = fixture.allocate(m, k, layout);
  const b = fixture.allocate(k, n, layout);
  const whole = fixture.allocate(m, n, layout);
  const tiled = fixture.allocate(m, n, layout);
  fill(data, a, random);
  fill(data, b, random);
  fill(data, whole, random);
  fill(data, tiled, (i, j) => data[at(whole, i, j)]!);
  const [alpha, beta] = [0.7, 1.3];
  kernel.gemm({ dtype, alpha, a, b, beta, c: whole });
  for (const [r0, r1] of cuts(m, [1, 2, 9, 40, 41])) {
    for (const [c0, c1] of cuts(n, [1, 8, 21, 23])) {
      kernel.gemm({
        dtype,
        alpha,
        a: sliceView(a, r0, r1, 0, k),
        b: sliceView(b, 0, k, c0, c1),
        beta,
        c: sliceView(tiled, r0, r1, c0, c1),
      });
    }
  }
  assert.deepEqual(read(data, tiled), read(data, whole), layout);
}

function cuts(total: number, inner: readonly number[]): readonly (readonly [number, number])[] {
  const edges = [0, ...inner, total];
  return edges.slice(1).map((stop, index) => [edges[index]!, stop] as const);
}

/** |Ĉ − C| ≤ γ_k·|A|·|B| holds for either library in any order (Higham, §3.5), so they differ by twice that at most. */
function checkAgainstNumpy(fixture: Fixture, m: number, k: number, n: number, random: () => number): void {
  fixture.reset(2 * (m * k + k * n + m * n) + 100);
  const { data, dtype } = fixture;
  const a = fixture.allocate(m, k, 'rows');
  const b = fixture.allocate(k, n, 'columns');
  const c = fixture.allocate(m, n, 'rows');
  fill(data, a, random);
  fill(data, b, random);
  const theirs = numpyProduct(dtype, read(data, a), read(data, b), m, k, n);
  const { unitRoundoff: u } = DTYPES[dtype];
  const gamma = (k * u) / (1 - k * u);
  fixture.kernel.gemm({ dtype, alpha: 1, a, b, beta: 0, c });
  const ours = read(data, c);
  fill(data, a, (i, p) => Math.abs(data[at(a, i, p)]!));
  fill(data, b, (p, j) => Math.abs(data[at(b, p, j)]!));
  const magnitude = expected(data, { dtype, alpha: 1, a, b, beta: 0, c });
  ours.forEach((value, e) => {
    // 1 + u·k covers the rounding of the magnitude itself; α = 1 adds none.
    const bound = 2 * gamma * magnitude[e]! * (1 + k * u);
    assert.ok(Math.abs(value - theirs[e]!) <= bound, `element ${e} is off by more than ${bound}`);
  });
}

function numpyProduct(
  dtype: Dtype,
  a: Float64Array | Float32Array,
  b: typeof a,
  m: number,
  k: number,
  n: number,
) {
  const left = np.array(Array.from(a)).astype(dtype).reshape(m, k);
  const right = np.array(Array.from(b)).astype(dtype).reshape(k, n);
  const product = np.matmul(left, right).flatten().tolist() as number[];
  return product;
}
