// Which part of a benchmark to run, in words of the command line.

import type { Dtype } from '../../shared/math/dtype.ts';
import type { Shape } from './figures.ts';

const ALL_DTYPES = ['float64', 'float32'] as const;

export interface Selection {
  readonly dtypes: readonly Dtype[];
  hasShape(shape: Shape): boolean;
}

export const EVERYTHING: Selection = { dtypes: ALL_DTYPES, hasShape: () => true };

/**
 * @param words dtypes, and sides of which a product must have one; of neither, everything.
 * @throws RangeError where a word is neither.
 */
export function parseSelection(words: readonly string[]): Selection {
  const dtypes = ALL_DTYPES.filter(dtype => words.includes(dtype));
  const sides = words.filter(word => !dtypes.some(dtype => dtype === word)).map(toSide);
  return {
    dtypes: dtypes.length === 0 ? ALL_DTYPES : dtypes,
    hasShape: ({ m, k, n }) => sides.length === 0 || [m, k, n].some(side => sides.includes(side)),
  };
}

function toSide(word: string): number {
  if (/^[1-9]\d{0,5}$/.test(word)) return Number(word);
  throw new RangeError(`${word} is neither a dtype nor the side of a product`);
}
