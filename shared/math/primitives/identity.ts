import { leaf } from '../rules.ts';
import { safeShape } from '../shape.ts';

/** I, size×size. */
export const identity = leaf<'identity'>({
  shape: ({ size }) => safeShape(size, size),
  bound: ({ params: { size } }) => ({ norm: Math.sqrt(size), error: 0 }),
});
