// |Ĉ − C| ≤ γ_k·|A|·|B| (Higham, §3.5), element by element, on data that round badly. The exact C comes from sums in
// twice the precision, which the products of two numbers of the dtype need and no kernel has.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { DTYPES, type Dtype } from '../../../shared/math/dtype.ts';
import { createFixture, type Fixture, fill, type Layout, read, seededRandom } from './fixture.ts';
import { availableSources } from './sources.ts';

const SEED = 31;

/** Entries by position, with a random number in [−1, 1). */
type Entry = (i: number, p: number, random: number) => number;

/** Each exponent keeps sums of some hundred products finite, and where it says so, makes them subnormal. */
const DATA: Record<Dtype, Record<string, Entry>> = {
  float64: data({ huge: 500, tiny: -500, subnormal: -530 }),
  float32: data({ huge: 58, tiny: -55, subnormal: -70 }),
};

function data(exponents: Record<'huge' | 'tiny' | 'subnormal', number>): Record<string, Entry> {
  const scaled =
    (exponent: number): Entry =>
    (_i, _p, random) =>
      random * 2 ** exponent;
  return {
    graded: (i, p, random) => random * 2 ** (-(i + p) / 8),
    cancelling: (i, p, random) => (-1) ** (i + p) * (1 + random * 2 ** -20),
    huge: scaled(exponents.huge),
    tiny: scaled(exponents.tiny),
    subnormal: scaled(exponents.subnormal),
    mixed: (_i, _p, random) => random * 2 ** Math.round(20 * random),
  };
}

const SHAPES = [
  { m: 5, k: 300, n: 9, layouts: ['rows', 'columns', 'rows'] },
  { m: 33, k: 61, n: 17, layouts: ['columns', 'rows', 'padded rows'] },
  { m: 1, k: 530, n: 13, layouts: ['rows', 'rows', 'rows'] },
  { m: 14, k: 530, n: 1, layouts: ['rows', 'no unit stride', 'columns'] },
] as const satisfies readonly { m: number; k: number; n: number; layouts: readonly Layout[] }[];

for (const [label, source] of availableSources()) {
  for (const dtype of ['float64', 'float32'] as const) {
    describe(`${label}, ${dtype}`, () => {
      const fixture = createFixture(source, dtype, 2 ** 20);
      for (const [name, entry] of Object.entries(DATA[dtype])) {
        test(`${name} data are multiplied within γ_k·|A|·|B| (seed ${SEED})`, () => {
          for (const shape of SHAPES) checkWithinBound(fixture, entry, shape);
        });
      }
    });
  }
}

test('the sum in twice the precision is exact where a plain one is off', () => {
  const terms = [1, 2 ** -60, -1];
  let plain = 0;
  for (const term of terms) plain += term;
  assert.equal(plain, 0);
  assert.equal(preciseDot(terms, [1, 1, 1]), 2 ** -60);
  // (1 + 2⁻³⁰)² has a last bit of 2⁻⁶⁰, which a rounded product loses.
  assert.equal(preciseDot([1 + 2 ** -30, -1, -(2 ** -29)], [1 + 2 ** -30, 1, 1]), 2 ** -60);
});

function checkWithinBound(fixture: Fixture, entry: Entry, { m, k, n, layouts }: (typeof SHAPES)[number]) {
  const { data: elements, dtype, kernel } = fixture;
  const random = seededRandom(SEED);
  fixture.reset(4 * (m * k + k * n + m * n) + 200);
  const a = fixture.allocate(m, k, layouts[0]);
  const b = fixture.allocate(k, n, layouts[1]);
  const c = fixture.allocate(m, n, layouts[2]);
  fill(elements, a, (i, p) => entry(i, p, random()));
  fill(elements, b, (p, j) => entry(j, p, random()));
  kernel.gemm({ dtype, alpha: 1, a, b, beta: 0, c });
  const [left, right, got] = [read(elements, a), read(elements, b), read(elements, c)];
  const { unitRoundoff: u, smallest } = DTYPES[dtype];
  // Two roundings more: α·s, and the sums of panels. Each product may lose half the smallest number to underflow.
  const gamma = ((k + 2) * u) / (1 - (k + 2) * u);
  for (let i = 0; i < m; i++) {
    for (let j = 0; j < n; j++) {
      const row = Array.from({ length: k }, (_, p) => left[i * k + p]!);
      const column = Array.from({ length: k }, (_, p) => right[p * n + j]!);
      const magnitude = row.reduce((sum, x, p) => sum + Math.abs(x * column[p]!), 0);
      const error = Math.abs(got[i * n + j]! - preciseDot(row, column));
      const bound = gamma * magnitude * (1 + k * u) + k * smallest;
      assert.ok(error <= bound, `C(${i}, ${j}) of ${m}×${k}×${n} is off by ${error}, more than ${bound}`);
    }
  }
}

/** Σ xy with every product and sum kept as a pair (Ogita, Rump and Oishi 2005, Dot2): as if in twice the precision. */
function preciseDot(x: readonly number[], y: readonly number[]): number {
  let [sum, rest] = [0, 0];
  for (let p = 0; p < x.length; p++) {
    const product = x[p]! * y[p]!;
    const next = sum + product;
    const back = next - sum;
    rest += sum - (next - back) + (product - back) + productError(x[p]!, y[p]!, product);
    sum = next;
  }
  return sum + rest;
}

/** x·y − fl(x·y), exactly, from halves of 26 bits (Dekker 1971). Scaled, so that no half overflows. */
function productError(x: number, y: number, product: number): number {
  const scale = Math.abs(x) > 2 ** 480 || Math.abs(y) > 2 ** 480 ? 2 ** -60 : 1;
  const [xHigh, xLow] = halves(x * scale);
  const [yHigh, yLow] = halves(y * scale);
  const scaled = product * scale * scale;
  return (xLow * yLow - (scaled - xHigh * yHigh - xLow * yHigh - xHigh * yLow)) / scale / scale;
}

function halves(x: number): [high: number, low: number] {
  const factor = 134_217_729 * x; // 2²⁷ + 1
  const high = factor - (factor - x);
  return [high, x - high];
}
