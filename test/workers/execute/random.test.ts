import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { randomAt } from '../../../workers/execute/random.ts';

describe('the seeded sequence', () => {
  test('is what it always was: checks that were run can be run again', () => {
    assert.deepEqual(
      [0, 1, 2, 1_000_000, 2 ** 33].map(index => randomAt(0, index) * 2 ** 20),
      [-353_879, 463_991, 182_705, 278_556, 752_941],
    );
    assert.equal(randomAt(42, 7) * 2 ** 20, 713_547);
  });

  test('lies in [−1, 1) on a grid that float32 holds exactly', () => {
    for (let index = 0; index < 10_000; index++) {
      const value = randomAt(5, index);
      assert.ok(-1 <= value && value < 1);
      assert.equal(Math.fround(value), value);
    }
  });

  test('has mean 0 and variance 1/3, as far as 100,000 numbers tell', () => {
    for (const seed of [0, 1, 2 ** 31, 2 ** 32 - 1]) {
      const values = Float64Array.from({ length: 100_000 }, (_, index) => randomAt(seed, index));
      const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
      const variance = values.reduce((sum, value) => sum + value ** 2, 0) / values.length;
      // Six standard deviations: sqrt(1/3/n), and sqrt(4/45/n) for squares.
      assert.ok(Math.abs(mean) < 6 * Math.sqrt(1 / 3 / values.length), `seed ${seed}: mean ${mean}`);
      assert.ok(Math.abs(variance - 1 / 3) < 6 * Math.sqrt(4 / 45 / values.length), `seed ${seed}`);
    }
  });

  test('differs from seed to seed, from index to neighbour, and past 2³² too', () => {
    const first = (seed: number, from: number) =>
      Array.from({ length: 8 }, (_, index) => randomAt(seed, from + index)).join();
    const starts = [first(0, 0), first(1, 0), first(0, 1), first(0, 2 ** 32), first(0, 2 ** 33)];
    assert.equal(new Set(starts).size, starts.length);
  });
});
