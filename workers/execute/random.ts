// A seeded sequence that can be entered anywhere: element i is a function of (seed, i) alone, so that tiles, blocks
// and machines agree on it. SplitMix32's finaliser (Steele, Lea, Flood 2014) over the pair; not for secrets.

/** Element `index` of the sequence of `seed`: uniform on a grid of 2^21 points in [−1, 1), exact in float32. */
export function randomAt(seed: number, index: number): number {
  const low = mix((index >>> 0) ^ mix(seed));
  const high = mix(low ^ Math.floor(index / 2 ** 32));
  return (high >>> 11) / 2 ** 20 - 1;
}

/** Fills x with ±1 from a 32-bit xorshift (Marsaglia 2003), begun where the seed's mixture says: cheap, and enough to be unforeseen. */
export function drawSigns(x: Float64Array, seed: number): void {
  let state = mix(seed) || 1;
  for (let i = 0; i < x.length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    x[i] = state < 0 ? -1 : 1;
  }
}

function mix(value: number): number {
  let z = (value + 0x9e3779b9) | 0;
  z = Math.imul(z ^ (z >>> 16), 0x85ebca6b);
  z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35);
  return (z ^ (z >>> 16)) >>> 0;
}
