import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import { after, before, beforeEach, test } from 'node:test';
import { Downloads } from '../../../api/http/downloads.ts';
import { sendPieces } from '../../../api/http/send.ts';
import { assertProblem } from '../problem-assertions.ts';
import { type Served, serve } from '../serve.ts';

const CHUNK_BYTES = 4 * 1024 * 1024;
/** Far more than sockets buffer. */
const CHUNK_COUNT = 8;
const BYTES = CHUNK_COUNT * CHUNK_BYTES;
const WAIT_MS_MAX = 100;

let served: Served;
/** Readers of chunks that hold some now, and how often one began. */
let holding = 0;
let mostHolding = 0;
let readings = 0;
let asked = 0;

/** Chunk i is made of the byte i + 1. */
async function* read(start: number, stop: number): AsyncGenerator<Uint8Array> {
  readings += 1;
  holding += 1;
  mostHolding = Math.max(mostHolding, holding);
  try {
    for (let index = Math.floor(start / CHUNK_BYTES); index * CHUNK_BYTES < stop; index += 1) {
      const from = Math.max(start - index * CHUNK_BYTES, 0);
      yield Buffer.alloc(CHUNK_BYTES, index + 1).subarray(from, stop - index * CHUNK_BYTES);
    }
  } finally {
    holding -= 1;
  }
}

before(async () => {
  const downloads = new Downloads({
    downloads: 3,
    lent: 1,
    gathered: 1,
    lentWaitMs: WAIT_MS_MAX,
    gatheredWaitMs: WAIT_MS_MAX,
  });
  served = await serve([
    {
      method: 'GET',
      path: '/lent',
      handle: (request, response) => {
        asked += 1;
        return downloads.lend(request, { bytes: BYTES, read }, lent => sendPieces(response, lent(0, BYTES)));
      },
    },
    {
      method: 'GET',
      path: '/gathered',
      handle: (request, response) => {
        asked += 1;
        const pieces = read(0, BYTES);
        return downloads.gather(request, { bytes: BYTES, read }, pieces, lent => sendPieces(response, lent));
      },
    },
    {
      method: 'GET',
      path: '/small',
      handle: (request, response) =>
        downloads.lend(request, { bytes: 1000, read }, lent => sendPieces(response, lent(0, 1000))),
    },
  ]);
});
after(() => served.close());
beforeEach(() => {
  mostHolding = 0;
  readings = 0;
});

const pause = (milliseconds: number) => new Promise(resolve => setTimeout(resolve, milliseconds));

async function until(condition: () => boolean): Promise<void> {
  const deadline = Date.now() + 20_000;
  while (!condition()) {
    assert.ok(Date.now() < deadline, 'in time');
    await pause(10);
  }
}

async function get(path: string): Promise<Buffer> {
  const response = await fetch(served.url + path);
  assert.equal(response.status, 200);
  return Buffer.from(await response.arrayBuffer());
}

/** A client that has asked and reads nothing yet. */
async function ask(path: string): Promise<Socket> {
  const socket = connect(served.port, '127.0.0.1');
  socket.on('error', () => undefined);
  socket.pause();
  const askedBefore = asked;
  // HTTP/1.0 is answered without the lengths of chunked coding between the bytes.
  socket.write(`GET ${path} HTTP/1.0\r\nHost: a\r\n\r\n`);
  await until(() => asked > askedBefore);
  return socket;
}

async function rest(socket: Socket): Promise<Buffer> {
  const received: Buffer[] = [];
  socket.on('data', piece => received.push(piece)).resume();
  await new Promise(resolve => socket.once('close', resolve));
  return Buffer.concat(received);
}

function assertWhole(bytes: Buffer): void {
  assert.equal(bytes.byteLength, BYTES);
  for (let index = 0; index < CHUNK_COUNT; index += 1) {
    const chunk = bytes.subarray(index * CHUNK_BYTES, (index + 1) * CHUNK_BYTES);
    assert.ok(chunk.equals(Buffer.alloc(CHUNK_BYTES, index + 1)), `chunk ${index}`);
  }
}

test('a download that nobody waits for reads its chunks once, slow or not', async () => {
  assertWhole(await get('/lent'));
  const slow = await ask('/lent');
  await pause(3 * WAIT_MS_MAX);
  await until(() => holding === 1);
  const answer = await rest(slow);
  assertWhole(answer.subarray(answer.indexOf('\r\n\r\n') + 4));
  assert.equal(readings, 2);
});

test('who reads nothing holds no chunks once another needs the place, and goes on where it was', async () => {
  const slow = await ask('/lent');
  const slower = await ask('/lent');
  for (let i = 0; i < 2; i += 1) assertWhole(await get('/lent'));
  assert.equal(mostHolding, 1);
  for (const answer of await Promise.all([rest(slow), rest(slower)])) {
    assertWhole(answer.subarray(answer.indexOf('\r\n\r\n') + 4));
  }
  assert.equal(mostHolding, 1);
  await until(() => holding === 0);
});

test('beyond a number of downloads one more is told to come again; small ones are not counted', async () => {
  const slow = [await ask('/lent'), await ask('/lent'), await ask('/lent')];
  const response = await fetch(`${served.url}/lent`);
  assert.match(response.headers.get('retry-after') ?? '', /^\d+$/);
  await assertProblem(response, 'system-busy');
  assert.equal((await get('/small')).byteLength, 1000);
  for (const socket of slow) socket.destroy();
  await until(() => holding === 0);
  assertWhole(await get('/lent'));
});

test('downloads whose clients went away in line or without a place leave nothing behind', async () => {
  const clients = [await ask('/lent'), await ask('/lent'), await ask('/lent')];
  await pause(4 * WAIT_MS_MAX);
  for (const socket of clients) socket.destroy();
  await until(() => holding === 0);
  assertWhole(await get('/lent'));
});

test('what cannot be forgotten waits for its client until another needs the place, and is broken off then', async () => {
  const slow = await ask('/gathered');
  await pause(3 * WAIT_MS_MAX);
  await until(() => holding === 1);
  assertWhole(await get('/gathered'));
  const answer = await rest(slow);
  assert.ok(answer.byteLength < BYTES, 'it does not look whole');
  await until(() => holding === 0);
});
