import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { Writable } from 'node:stream';
import { after, before, test } from 'node:test';
import type { Response } from 'express';
import { sendPieces } from '../../../api/http/send.ts';
import { type Served, serve } from '../serve.ts';

const PIECE = new Uint8Array(256 * 1024);

let served: Served;
let produced = 0;
let ended = 0;

async function* endless(): AsyncGenerator<Uint8Array> {
  try {
    for (;;) {
      produced += 1;
      yield PIECE;
    }
  } finally {
    ended += 1;
  }
}

async function* numbersAsText(count: number): AsyncGenerator<string> {
  for (let i = 0; i < count; i += 1) yield `${i}\n`;
}

before(async () => {
  served = await serve([
    {
      method: 'GET',
      path: '/endless',
      handle: async (_request, response) => sendPieces(response, endless(), 0.3),
    },
    {
      method: 'GET',
      path: '/text',
      handle: async (_request, response) => sendPieces(response, numbersAsText(200_000)),
    },
    { method: 'GET', path: '/quick', handle: (_request, response) => void response.send('ok') },
  ]);
});
after(() => served.close());

async function until(condition: () => boolean): Promise<void> {
  const deadline = Date.now() + 5_000;
  while (!condition()) {
    assert.ok(Date.now() < deadline, 'in time');
    await new Promise(resolve => setTimeout(resolve, 10));
  }
}

test('a client that reads nothing is given up, and the source is closed', async () => {
  produced = 0;
  ended = 0;
  const socket = connect(served.port, '127.0.0.1');
  socket.on('error', () => undefined);
  socket.pause();
  socket.write('GET /endless HTTP/1.1\r\nHost: a\r\n\r\n');
  await until(() => ended === 1);
  const megabytes = (produced * PIECE.byteLength) / 2 ** 20;
  assert.ok(megabytes < 64, `only what sockets buffer was produced: ${megabytes} MiB`);
  socket.destroy();
});

test('a client that takes a long piece slowly, but goes on taking, gets all of it', async () => {
  const piece = new Uint8Array(6 * 1024 * 1024);
  const bytesPerMs = 4 * 1024;
  const stallSeconds = 1;
  let taken = 0;
  const slow = new Writable({
    write(part: Buffer, _encoding, done) {
      setTimeout(() => {
        taken += part.length;
        done();
      }, part.length / bytesPerMs);
    },
  });
  async function* onePiece(): AsyncGenerator<Uint8Array> {
    yield piece;
  }
  // Of a response only what every writable stream has is used.
  await sendPieces(slow as unknown as Response, onePiece(), stallSeconds);
  assert.equal(taken, piece.byteLength);
});

test('a client that goes away ends the source', async () => {
  ended = 0;
  const controller = new AbortController();
  const response = await fetch(`${served.url}/endless`, { signal: controller.signal });
  await response.body?.getReader().read();
  controller.abort();
  await until(() => ended === 1);
});

test('all pieces arrive in order', async () => {
  const text = await (await fetch(`${served.url}/text`)).text();
  const lines = text.split('\n');
  assert.equal(lines.length, 200_001);
  assert.ok(lines.slice(0, -1).every((line, i) => line === String(i)));
});

test('other requests are answered while a long text is written', async () => {
  const order: string[] = [];
  const long = fetch(`${served.url}/text`)
    .then(response => response.text())
    .then(() => order.push('long'));
  await new Promise(resolve => setTimeout(resolve, 5));
  await fetch(`${served.url}/quick`).then(() => order.push('quick'));
  await long;
  assert.deepEqual(order, ['quick', 'long']);
});
