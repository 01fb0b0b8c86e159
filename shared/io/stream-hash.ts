// SHA-256 of a stream that comes in chunks, and of each chunk by itself: here, or on a thread of its own, where a long
// stream leaves the event loop to everybody else. One thread serves all streams of a process.

import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { FrechetError } from '../errors.ts';
import type { HashAnswer, HashRequest } from './hash-thread.ts';
import { digestChunk } from './store/sealed.ts';

/** The hash of one stream. */
export interface StreamHash {
  /** Memory for chunks, of a kind that this hash can read. */
  allocate(bytes: number): Uint8Array<ArrayBufferLike>;
  /** The chunk's own SHA-256, hex, once it is also in the stream's. The chunk must stay as it is until then. */
  add(chunk: Uint8Array<ArrayBufferLike>): Promise<string>;
  /** The stream's SHA-256, hex. */
  finish(): Promise<string>;
  /** What ends without `finish` is discarded; may be called at any time. */
  discard(): void;
}

/** @param prefix what the stream begins with */
export type StartHash = (prefix: string) => StreamHash;

/** Hashes the stream in this thread; for streams of a few chunks. */
export function startHash(prefix: string): StreamHash {
  const hash = createHash('sha256').update(prefix);
  return {
    allocate: bytes => new Uint8Array(bytes),
    add(chunk) {
      hash.update(chunk);
      return digestChunk(chunk as Uint8Array<ArrayBuffer>); // as allocated above
    },
    finish: async () => hash.digest('hex'),
    discard: () => undefined,
  };
}

interface Waiting {
  readonly resolve: (digest: string) => void;
  readonly reject: (error: Error) => void;
}

export interface HashThread {
  readonly start: StartHash;
  close(): Promise<void>;
}

/** The thread starts with the first stream; after a fault, which fails the streams it had, with the next one. */
export function createHashThread(): HashThread {
  let thread: ReturnType<typeof startThread> | undefined;
  let streams = 0;
  return {
    start(prefix) {
      if (thread === undefined || thread.hasEnded()) thread = startThread();
      const { call, tell } = thread;
      streams += 1;
      const stream = streams;
      tell({ kind: 'start', stream, prefix });
      return {
        allocate: bytes => new Uint8Array(new SharedArrayBuffer(bytes)),
        add: chunk => call({ kind: 'add', stream, chunk }),
        finish: () => call({ kind: 'finish', stream }),
        discard: () => tell({ kind: 'discard', stream }),
      };
    },
    close: async () => thread?.end(),
  };
}

function startThread() {
  const worker = new Worker(new URL('./hash-thread.js', import.meta.url));
  // A process may end while its thread waits for work.
  worker.unref();
  /** In the order of the calls, which is that of the answers. */
  const waiting: Waiting[] = [];
  let fault: FrechetError | undefined;
  const fail = (cause?: Error) => {
    const detail = 'The thread that computes digests has ended; retry.';
    fault ??= new FrechetError('unavailable', detail, {}, { cause });
    for (const { reject } of waiting.splice(0)) reject(fault);
  };
  worker.on('error', fail).on('exit', () => fail());
  worker.on('message', ({ digest }: HashAnswer) => {
    waiting.shift()?.resolve(digest);
    if (waiting.length === 0) worker.unref();
  });
  const tell = (request: HashRequest) => worker.postMessage(request);
  return {
    hasEnded: () => fault !== undefined,
    tell,
    call(request: HashRequest): Promise<string> {
      return new Promise((resolve, reject) => {
        if (fault !== undefined) return reject(fault);
        waiting.push({ resolve, reject });
        worker.ref();
        tell(request);
      });
    },
    async end(): Promise<void> {
      if (fault !== undefined) return;
      worker.ref();
      tell({ kind: 'close' });
      await once(worker, 'exit');
    },
  };
}
