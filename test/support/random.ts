// Random numbers that a seed decides: a run that failed can be run again.

export interface Random {
  /** In [0, 1). */
  next(): number;
  /** An integer in [0, bound). */
  below(bound: number): number;
  /** A number in [low, high). */
  between(low: number, high: number): number;
  pick<T>(items: readonly T[]): T;
  /** Another sequence, of its own seed. */
  fork(): Random;
}

/** Mulberry32: good enough for choices, and short. */
export function createRandom(seed: number): Random {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (bound: number) => Math.floor(next() * bound);
  return {
    next,
    below,
    between: (low, high) => low + next() * (high - low),
    pick: items => items[below(items.length)]!, // nobody picks from nothing
    fork: () => createRandom(below(2 ** 32)),
  };
}
