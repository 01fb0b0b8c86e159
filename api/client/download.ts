// A body of any size, to its end: where the connection breaks, the rest is asked for as a range of the same bytes.

import { readChunks } from './event-stream.ts';
import { ConnectionError } from './problem.ts';
import type { Outgoing, Transport } from './transport.ts';

/** Breaks in a row without a byte between them. */
const FUTILE_RESUMES_MAX = 5;

export interface Download {
  /** Bytes in all; undefined where the service did not say. */
  readonly byteLength: number | undefined;
  /** To be read once. Leaving it early ends the request. */
  readonly chunks: AsyncGenerator<Uint8Array>;
}

/** Resolves when the answer begins. */
export async function download(transport: Transport, request: Outgoing): Promise<Download> {
  const open = (headers: Readonly<Record<string, string>>) =>
    transport.send({ ...request, headers: { ...request.headers, ...headers } }, async response => response);
  const first = await open({});
  const length = first.headers.get('Content-Length');
  const byteLength = length === null ? undefined : Number(length);
  return { byteLength, chunks: chunksOf(first, byteLength, open, request.signal) };
}

async function* chunksOf(
  first: Response,
  byteLength: number | undefined,
  open: (headers: Readonly<Record<string, string>>) => Promise<Response>,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
  const etag = first.headers.get('ETag');
  let response = first;
  let received = 0;
  for (let futile = 0; ; futile += 1) {
    let broken: unknown;
    const chunks = readChunks(response.body);
    try {
      for (;;) {
        const next = await chunks.next().catch((error: unknown) => {
          broken = error;
        });
        if (next === undefined || next.done) break;
        received += next.value.byteLength;
        futile = 0;
        yield next.value;
      }
    } finally {
      await chunks.return(undefined);
    }
    signal?.throwIfAborted();
    if (broken === undefined && (byteLength === undefined || received === byteLength)) return;
    if (etag === null || futile >= FUTILE_RESUMES_MAX) throw broken ?? shortBody(received, byteLength);
    response = await open({ Range: `bytes=${received}-`, 'If-Range': etag });
    if (response.status !== 206) throw new ConnectionError('what is downloaded changed on the way');
  }
}

function shortBody(received: number, byteLength: number | undefined): ConnectionError {
  return new ConnectionError(`the answer ended after ${received} of ${byteLength} bytes`);
}

/** All bytes in one buffer. */
export async function collect({ byteLength, chunks }: Download): Promise<Uint8Array<ArrayBuffer>> {
  let bytes = new Uint8Array(byteLength ?? 0);
  let length = 0;
  for await (const chunk of chunks) {
    if (length + chunk.byteLength > bytes.byteLength) {
      const larger = new Uint8Array(Math.max(2 * bytes.byteLength, length + chunk.byteLength));
      larger.set(bytes.subarray(0, length));
      bytes = larger;
    }
    bytes.set(chunk, length);
    length += chunk.byteLength;
  }
  return bytes.byteLength === length ? bytes : bytes.slice(0, length);
}

/** The same as a stream, for whoever pipes it on. */
export function streamOf(chunks: AsyncGenerator<Uint8Array>): ReadableStream<Uint8Array> {
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      const next = await chunks.next();
      if (next.done) controller.close();
      else controller.enqueue(next.value);
    },
    async cancel() {
      await chunks.return(undefined);
    },
  });
}
