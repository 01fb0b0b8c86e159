import { AssertionError } from '../../assert.ts';
import { leaf } from '../rules.ts';
import { shape } from '../shape.ts';

/** A named matrix that is given: an operand, or the direction or cotangent of a derivative. */
export const input = leaf<'input'>({
  shape: ({ rows, cols }) => shape(rows, cols),
  bound: () => {
    throw new AssertionError('the bound of an input is given, not derived');
  },
});
