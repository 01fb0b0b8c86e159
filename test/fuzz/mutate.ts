// Small damage to bytes: what a broken client, a broken disk or an attacker with an editor does.

import type { Random } from '../support/random.ts';

/** From one to four random damages. `words` are put in where they may mean something. */
export function mutated(random: Random, bytes: Uint8Array, words: readonly string[]): Uint8Array {
  let result = bytes;
  for (let left = 1 + random.below(4); left > 0; left -= 1)
    result = random.pick(DAMAGES)(random, result, words);
  return result;
}

type Damage = (random: Random, bytes: Uint8Array, words: readonly string[]) => Uint8Array;

const PIECE_BYTES_MAX = 16;

const DAMAGES: readonly Damage[] = [
  function flipBit(random, bytes) {
    const copy = Uint8Array.from(bytes);
    const at = random.below(bytes.length);
    if (at < bytes.length) copy[at]! ^= 1 << random.below(8);
    return copy;
  },
  function replaceByte(random, bytes) {
    const copy = Uint8Array.from(bytes);
    const at = random.below(bytes.length);
    if (at < bytes.length) copy[at] = random.below(256);
    return copy;
  },
  function insertWord(random, bytes, words) {
    return spliced(bytes, random.below(bytes.length + 1), 0, Buffer.from(random.pick(words), 'latin1'));
  },
  function replaceWithWord(random, bytes, words) {
    const length = random.below(PIECE_BYTES_MAX);
    return spliced(bytes, random.below(bytes.length + 1), length, Buffer.from(random.pick(words), 'latin1'));
  },
  function removePiece(random, bytes) {
    return spliced(
      bytes,
      random.below(bytes.length + 1),
      1 + random.below(PIECE_BYTES_MAX),
      new Uint8Array(),
    );
  },
  function repeatPiece(random, bytes) {
    const at = random.below(bytes.length + 1);
    return spliced(bytes, at, 0, bytes.subarray(at, at + 1 + random.below(PIECE_BYTES_MAX)));
  },
  function cut(random, bytes) {
    return bytes.subarray(0, random.below(bytes.length + 1));
  },
];

function spliced(bytes: Uint8Array, at: number, removed: number, inserted: Uint8Array): Uint8Array {
  return Buffer.concat([bytes.subarray(0, at), inserted, bytes.subarray(at + removed)]);
}
