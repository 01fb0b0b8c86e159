import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { DTYPES } from '../../../shared/math/dtype.ts';
import {
  gamma,
  LARGEST,
  residualBound,
  type StepSize,
  underflowBound,
} from '../../../workers/verify/bounds.ts';

const SIZE: StepSize = { dtype: 'float64', innerLength: 1000, terms: 1, cols: 1000, alpha: 1 };

describe('bounds', () => {
  test('γ is a little more than n·u, and infinite where n·u is 1 or more', () => {
    const u = 2 ** -53;
    assert.equal(gamma(0, u), 0);
    assert.ok(gamma(1000, u) > 1000 * u && gamma(1000, u) < 1000.001 * u);
    assert.equal(gamma(2 ** 53, u), Number.POSITIVE_INFINITY);
    assert.equal(gamma(2 ** 24, 2 ** -24), Number.POSITIVE_INFINITY);
  });

  test('of a float64 product are a few thousand roundings, of a float32 one mostly its own', () => {
    const u = DTYPES.float64.unitRoundoff;
    // k + 4 of the product and 2·(k + n) + 8 of the test.
    assert.ok(Math.abs(residualBound(SIZE) / u - 5012) < 0.01);
    const float32 = residualBound({ ...SIZE, dtype: 'float32' });
    assert.ok(Math.abs(float32 / DTYPES.float32.unitRoundoff - 1004) < 0.1);
  });

  test('grow with every size they depend on', () => {
    for (const larger of [{ innerLength: 1001 }, { terms: 2 }, { cols: 1001 }])
      assert.ok(residualBound({ ...SIZE, ...larger }) > residualBound(SIZE));
    for (const larger of [{ innerLength: 1001 }, { terms: 2 }, { cols: 1001 }, { alpha: 2 }])
      assert.ok(underflowBound({ ...SIZE, ...larger }) > underflowBound(SIZE));
    assert.equal(underflowBound({ ...SIZE, alpha: 2 ** -20 }), underflowBound(SIZE));
  });

  test('know the largest finite numbers', () => {
    assert.equal(Math.fround(LARGEST.float32), LARGEST.float32);
    assert.equal(Math.fround(LARGEST.float32 * (1 + 2 ** -24)), Number.POSITIVE_INFINITY);
    assert.equal(LARGEST.float64 * (1 + 2 ** -52), Number.POSITIVE_INFINITY);
  });
});
