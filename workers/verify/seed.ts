// Where the ±1 vectors of Freivalds' test come from: a seed drawn when the block begins, recorded in its receipt.

import { randomInt } from 'node:crypto';

/** A 32-bit seed that whoever made the operands could not know. */
export function drawSeed(): number {
  return randomInt(2 ** 32);
}
