// Streams answers with backpressure. A source that fails after the first byte breaks the connection: an answer that is
// not whole must not look whole.

import { setImmediate as breathe } from 'node:timers/promises';
import type { Response } from 'express';

/** A client that takes no part of an answer for this long has gone without saying so. */
const STALL_SECONDS_MAX = 60;
/** Of a larger write nobody hears before all of it has left: a slow client would seem to take nothing. Smaller ones cost a fast one a fifth of its rate. */
const PART_BYTES = 1024 * 1024;
/** Writing numbers as text can go on without a pause; other requests get their turn this often. */
const TURN_MS_MAX = 10;

/** Sends the pieces and ends the answer. Returns early when the client goes away; what `pieces` throws passes on. */
export async function sendPieces(
  response: Response,
  pieces: AsyncIterable<Uint8Array | string>,
  stallSeconds = STALL_SECONDS_MAX,
): Promise<void> {
  let turnStartedAt = performance.now();
  for await (const piece of pieces) {
    for (const part of parts(piece)) {
      if (response.destroyed) return;
      if (!response.write(part)) await drained(response, stallSeconds);
    }
    if (performance.now() - turnStartedAt > TURN_MS_MAX) {
      await breathe();
      turnStartedAt = performance.now();
    }
  }
  response.end();
}

/** Text comes in short pieces, and passes as it is. */
function* parts(piece: Uint8Array | string): Generator<Uint8Array | string> {
  if (typeof piece === 'string') yield piece;
  else for (let at = 0; at < piece.length; at += PART_BYTES) yield piece.subarray(at, at + PART_BYTES);
}

/** Resolves when the client has taken what was written, or is given up. */
function drained(response: Response, stallSeconds: number): Promise<void> {
  if (response.destroyed) return Promise.resolve();
  return new Promise(resolve => {
    const settle = () => {
      clearTimeout(timer);
      response.off('drain', settle).off('close', settle);
      resolve();
    };
    const timer = setTimeout(() => {
      response.destroy();
      settle();
    }, stallSeconds * 1000);
    response.on('drain', settle).on('close', settle);
  });
}
