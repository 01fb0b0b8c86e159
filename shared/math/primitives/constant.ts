import { assert } from '../../assert.ts';
import { leaf } from '../rules.ts';
import { shape } from '../shape.ts';

/** A number, 1×1. Rounded to the dtype of the job when it is used: error at most u·|c|, or half a subnormal. */
export const constant = leaf<'constant'>({
  shape: ({ value }) => {
    assert(Number.isFinite(value), 'a constant is finite');
    return shape(1, 1);
  },
  bound: ({ params: { value, error = 0 } }, { unitRoundoff, smallest }) => {
    const size = Math.abs(value);
    return { norm: size + error, error: error + (size === 0 ? 0 : unitRoundoff * size + smallest) };
  },
});
