import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readEvents, readLines } from '../../../api/client/event-stream.ts';

async function* inPieces(text: string, size: number): AsyncGenerator<Uint8Array> {
  const bytes = new TextEncoder().encode(text);
  for (let start = 0; start < bytes.length; start += size) yield bytes.subarray(start, start + size);
}

async function all<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const list: Item[] = [];
  for await (const item of items) list.push(item);
  return list;
}

for (const size of [1, 2, 3, 1000]) {
  test(`lines end in LF, CR or CRLF, in pieces of ${size} bytes`, async () => {
    assert.deepEqual(await all(readLines(inPieces('é\nb\r\nc\rd\r\n\r\nlast', size))), [
      'é',
      'b',
      'c',
      'd',
      '',
      'last',
    ]);
  });

  test(`events are read in pieces of ${size} bytes`, async () => {
    const text = [
      ': a comment\n\n',
      'event: state\ndata: {"a":1}\n\n',
      'data:no space\nid: 7\n\n',
      'event: lines\r\ndata: one\r\ndata: two\r\n\r\n',
      'event: nothing\n\n',
      'event: cut\ndata: off\n',
    ].join('');
    assert.deepEqual(await all(readEvents(inPieces(text, size))), [
      { event: 'state', data: '{"a":1}' },
      { event: 'message', data: 'no space' },
      { event: 'lines', data: 'one\ntwo' },
    ]);
  });
}
