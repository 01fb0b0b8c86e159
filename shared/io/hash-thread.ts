// What runs in the hash thread: the hashes of the streams that are under way, and nothing else. Chunks are shared
// memory, so none is copied on its way here.

import { createHash, type Hash } from 'node:crypto';
import { parentPort } from 'node:worker_threads';
import { assert } from '../assert.ts';

/** `add` and `finish` are answered, in order. */
export type HashRequest =
  | { readonly kind: 'start'; readonly stream: number; readonly prefix: string }
  | { readonly kind: 'add'; readonly stream: number; readonly chunk: Uint8Array<ArrayBufferLike> }
  | { readonly kind: 'finish'; readonly stream: number }
  | { readonly kind: 'discard'; readonly stream: number }
  /** The thread ends by itself: ended from outside while its modules are loaded, it would take the process with it. */
  | { readonly kind: 'close' };

export interface HashAnswer {
  /** SHA-256, hex: of the chunk that was added, or of the whole stream. */
  readonly digest: string;
}

const streams = new Map<number, Hash>();

function serve(request: Exclude<HashRequest, { readonly kind: 'close' }>): string | undefined {
  const { kind, stream } = request;
  if (kind === 'start') streams.set(stream, createHash('sha256').update(request.prefix));
  if (kind === 'discard') streams.delete(stream);
  if (kind === 'start' || kind === 'discard') return undefined;
  const hash = streams.get(stream);
  assert(hash !== undefined, 'a stream is hashed after its start and before its end');
  if (kind === 'add') {
    hash.update(request.chunk);
    return createHash('sha256').update(request.chunk).digest('hex');
  }
  streams.delete(stream);
  return hash.digest('hex');
}

parentPort?.on('message', (request: HashRequest) => {
  if (request.kind === 'close') return parentPort?.close();
  const digest = serve(request);
  if (digest !== undefined) parentPort?.postMessage({ digest } satisfies HashAnswer);
});
