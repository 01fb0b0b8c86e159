import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import { after, before, test } from 'node:test';
import { answerArray } from '../../../api/http/representation.ts';
import { type Served, serve } from '../serve.ts';

const CHUNK_BYTES = 4 * 1024 * 1024;
const BYTES = 8 * CHUNK_BYTES;
const CLIENTS = 24;
/** As many as api/http/downloads.ts lends to. */
const HOLDING_MAX = 16;

let served: Served;
let readings = 0;
let holding = 0;
let mostHolding = 0;

async function* read(start: number, stop: number): AsyncGenerator<Uint8Array> {
  readings += 1;
  holding += 1;
  mostHolding = Math.max(mostHolding, holding);
  try {
    for (let at = start; at < stop; at += CHUNK_BYTES) yield new Uint8Array(Math.min(CHUNK_BYTES, stop - at));
  } finally {
    holding -= 1;
  }
}

before(async () => {
  const header = { shape: [BYTES / 8], dtype: 'float64', order: 'C' } as const;
  served = await serve([
    {
      method: 'GET',
      path: '/array',
      handle: (request, response) =>
        answerArray(request, response, { header, bytes: BYTES, tag: 'tag', read }),
    },
  ]);
});
after(() => served.close());

async function until(condition: () => boolean): Promise<void> {
  const deadline = Date.now() + 20_000;
  while (!condition()) {
    assert.ok(Date.now() < deadline, 'in time');
    await new Promise(resolve => setTimeout(resolve, 10));
  }
}

test('clients that read nothing hold a few chunks together, and nobody else back', async () => {
  const clients: Socket[] = [];
  for (let i = 0; i < CLIENTS; i += 1) {
    const socket = connect(served.port, '127.0.0.1');
    socket.on('error', () => undefined);
    socket.pause();
    socket.write('GET /array HTTP/1.1\r\nHost: a\r\n\r\n');
    clients.push(socket);
  }
  await until(() => readings >= CLIENTS);
  const bytes = await (await fetch(`${served.url}/array`)).arrayBuffer();
  assert.ok(bytes.byteLength > BYTES);
  assert.ok(mostHolding <= HOLDING_MAX, `${mostHolding} held chunks`);
  for (const socket of clients) socket.destroy();
  await until(() => holding === 0);
});
