// Where the ±1 vectors of Freivalds' test come from: a seed for each step, drawn when the step has
// been computed and recorded in the block's receipt.

import { randomInt } from 'node:crypto';

/** A 32-bit seed that whoever made the operands could not know. */
export function drawSeed(): number {
  return randomInt(2 ** 32);
}
