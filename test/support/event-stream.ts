// Reads a text/event-stream to its end, or to where the reader has seen enough.

import assert from 'node:assert/strict';

export interface StreamEvent {
  readonly event: string;
  /** Parsed; what it holds follows from `event`. */
  readonly data: unknown;
}

/** The events of a job, until the service ends the stream. Comments are skipped. */
export async function* readEvents(url: string): AsyncGenerator<StreamEvent> {
  const response = await fetch(url);
  assert.equal(response.status, 200);
  assert.equal(response.headers.get('content-type'), 'text/event-stream');
  const decoder = new TextDecoder();
  let text = '';
  for await (const bytes of response.body ?? []) {
    const records = (text + decoder.decode(bytes, { stream: true })).split('\n\n');
    text = records.pop() ?? '';
    for (const record of records) {
      const match = /^event: (\w+)\ndata: (.*)$/.exec(record);
      if (match) yield { event: match[1] ?? '', data: JSON.parse(match[2] ?? '') };
      else assert.match(record, /^:/, 'what is no event is a comment');
    }
  }
  assert.equal(text, '', 'the stream ends with a whole event');
}
