// Bodies that arrive piece by piece: chunks, lines, server-sent events.

import { connectionFault } from './transport.ts';

/** The chunks of a body. Leaving the loop cancels it. (Safari cannot iterate streams by itself.) */
export async function* readChunks(body: ReadableStream<Uint8Array> | null): AsyncGenerator<Uint8Array> {
  if (body === null) return;
  const reader = body.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read().catch(connectionFault('the answer broke off'));
      if (done) return;
      yield value;
    }
  } finally {
    // Of a body that has ended or failed this is nothing; of another it frees the connection.
    await reader.cancel().catch(() => undefined);
  }
}

/** Lines without their ends, which are LF, CR or CRLF; a last one without an end, too. */
export async function* readLines(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let held = '';
  for await (const chunk of chunks) {
    // A CR at the end of a chunk may be the first half of CRLF: it waits for what follows.
    const lines = (held + decoder.decode(chunk, { stream: true })).split(/\r\n|\n|\r(?!$)/);
    held = lines.pop() ?? '';
    yield* lines;
  }
  held += decoder.decode();
  if (held !== '') yield held.replace(/\r$/, '');
}

export interface ServerSentEvent {
  /** `message` where the stream says nothing. */
  readonly event: string;
  readonly data: string;
}

/** The events of a `text/event-stream`. One that breaks off unfinished is no event. */
export async function* readEvents(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<ServerSentEvent> {
  let event = '';
  let data: string[] = [];
  for await (const line of readLines(chunks)) {
    if (line === '') {
      if (data.length > 0) yield { event: event || 'message', data: data.join('\n') };
      event = '';
      data = [];
      continue;
    }
    const [, field, value = ''] = /^([^:]*)(?:: ?(.*))?$/s.exec(line) ?? [];
    if (field === 'event') event = value;
    if (field === 'data') data.push(value);
  }
}
