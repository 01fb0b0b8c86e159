// Bodies in pieces, and what came of them.

import assert from 'node:assert/strict';
import { errorCode, type FrechetError } from '../../../shared/errors.ts';

/** `bytes` in pieces of a fixed size, each in memory that is overwritten afterwards: nobody may hold on to one. */
export async function* pieces(bytes: Uint8Array, pieceBytes: number): AsyncGenerator<Uint8Array> {
  for (let start = 0; start < bytes.byteLength; start += pieceBytes) {
    // Not `slice`, which shares memory where `bytes` is a Buffer.
    const piece = new Uint8Array(bytes.subarray(start, start + pieceBytes));
    yield piece;
    piece.fill(0xa5);
  }
}

export async function collect(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const collected: Uint8Array[] = [];
  for await (const piece of stream) collected.push(new Uint8Array(piece));
  return Buffer.concat(collected);
}

/** Asserts that a promise is rejected with one of our codes, and answers the error. */
export async function failsWith(
  code: string,
  promise: Promise<unknown>,
  message = '',
): Promise<FrechetError> {
  const error = await promise.then(
    () => assert.fail(`${message}: nothing thrown where ${code} should be`),
    (thrown: unknown) => thrown,
  );
  assert.equal(errorCode(error) ?? error, code, message);
  return error as FrechetError; // it has one of its codes
}
