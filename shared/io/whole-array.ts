// The text formats are parsed whole, so their bodies are bounded, and what comes out is held in memory.

import { FrechetError } from '../errors.ts';
import { JSON_BODY_BYTES_MAX } from '../job/limits.ts';
import type { ArrayHeader, ArrayStream } from './array-header.ts';

/** An array in memory; `data` is little-endian, C order. */
export interface WholeArray {
  readonly header: ArrayHeader;
  readonly data: Uint8Array;
}

/** What one step of a consumer (hashing, say) may hold up the event loop with. */
const PIECE_BYTES = 256 * 1024;

/** The array as a stream, so that all formats arrive alike. */
export function streamOf({ header, data }: WholeArray): ArrayStream {
  return { header, data: pieces(data) };
}

/** Passes a body on, up to the limit for text. @throws body-too-large */
export async function* boundedBody(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let bytes = 0;
  for await (const piece of source) {
    bytes += piece.byteLength;
    if (bytes > JSON_BODY_BYTES_MAX) {
      throw new FrechetError(
        'body-too-large',
        `An array as JSON or CSV has at most ${JSON_BODY_BYTES_MAX} bytes of text; send a larger one as .npy.`,
        { limit: JSON_BODY_BYTES_MAX },
      );
    }
    yield piece;
  }
}

async function* pieces(data: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let start = 0; start < data.byteLength; start += PIECE_BYTES) {
    yield data.subarray(start, start + PIECE_BYTES);
  }
}
