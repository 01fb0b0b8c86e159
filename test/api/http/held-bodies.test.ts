import assert from 'node:assert/strict';
import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import { after, before, test } from 'node:test';
import { bodyChunks } from '../../../api/http/body.ts';
import { goneSignal } from '../../../api/http/gone-signal.ts';
import { HeldBodies } from '../../../api/http/held-bodies.ts';
import { assertProblem } from '../problem-assertions.ts';
import { type Served, serve } from '../serve.ts';

const HELD_MAX = 100_000;

let served: Served;
let watching = 0;
before(async () => {
  const held = new HeldBodies(HELD_MAX);
  served = await serve([
    {
      method: 'POST',
      path: '/held',
      handle: async (request, response) => {
        for await (const _ of bodyChunks(request, { bytesMax: 80_000, held }));
        response.end();
      },
    },
    {
      method: 'POST',
      path: '/late',
      handle: async (request, response) => {
        await new Promise(resolve => setTimeout(resolve, 200));
        for await (const _ of bodyChunks(request, { bytesMax: 80_000, held }));
        response.end();
      },
    },
    {
      method: 'GET',
      path: '/watched',
      handle: async (_request, response) => {
        watching += 1;
        const gone = goneSignal(response, new AbortController().signal);
        await new Promise(resolve => gone.addEventListener('abort', resolve));
        watching -= 1;
      },
    },
    {
      method: 'POST',
      path: '/streamed',
      handle: async (request, response) => {
        for await (const _ of bodyChunks(request, { held }));
        response.end();
      },
    },
  ]);
});
after(() => served.close());

/** Sends part of a body and keeps the rest back. */
async function begin(bytes: number): Promise<{ request: ClientRequest; answer: Promise<IncomingMessage> }> {
  const request = httpRequest(`${served.url}/held`, { method: 'POST' });
  const answer = new Promise<IncomingMessage>((resolve, reject) => {
    request.on('response', response => resolve(response.resume())).on('error', reject);
  });
  answer.catch(() => undefined);
  await new Promise(resolve => request.write(Buffer.alloc(bytes), resolve));
  await new Promise(resolve => setTimeout(resolve, 50));
  return { request, answer };
}

const post = (path: string, bytes: number) =>
  fetch(served.url + path, { method: 'POST', body: new Uint8Array(bytes) });

test('bodies held at once have a limit together; an ended or broken one makes room', async () => {
  const first = await begin(60_000);
  const response = await post('/held', 60_000);
  assert.match(response.headers.get('retry-after') ?? '', /^\d+$/);
  await assertProblem(response, 'system-busy');
  assert.equal((await post('/held', 30_000)).status, 200, 'a small one fits beside it');
  first.request.end();
  assert.equal((await first.answer).statusCode, 200);
  assert.equal((await post('/held', 60_000)).status, 200);
  const broken = await begin(60_000);
  broken.request.destroy();
  await new Promise(resolve => setTimeout(resolve, 50));
  assert.equal((await post('/held', 60_000)).status, 200);
});

test('a body that streams is not held', async () => {
  assert.equal((await post('/streamed', 10 * HELD_MAX)).status, 200);
});

test('bodies and watchers of requests in line behind another end with their connection', async () => {
  const linesBefore = served.lines.length;
  const socket = connect(served.port, '127.0.0.1');
  const watch = 'GET /watched HTTP/1.1\r\nHost: a\r\n\r\n';
  const body = `POST /held HTTP/1.1\r\nHost: a\r\nContent-Length: 30000\r\n\r\n${'x'.repeat(30_000)}`;
  socket.write(watch + watch + body.repeat(3));
  await new Promise(resolve => setTimeout(resolve, 200));
  assert.equal(watching, 2);
  await assertProblem(await post('/held', 60_000), 'system-busy');
  socket.destroy();
  await new Promise(resolve => setTimeout(resolve, 100));
  assert.equal(watching, 0);
  assert.equal((await post('/held', 70_000)).status, 200);
  assert.equal(served.lines.length - linesBefore, 7, 'each has its line in the log');
});

test('a body that is read after its client went away is not held', async () => {
  for (let i = 0; i < 4; i += 1) {
    const socket = connect(served.port, '127.0.0.1');
    socket.write(`POST /late HTTP/1.1\r\nHost: a\r\nContent-Length: 40000\r\n\r\n${'x'.repeat(40_000)}`);
    await new Promise(resolve => setTimeout(resolve, 50));
    socket.destroy();
  }
  await new Promise(resolve => setTimeout(resolve, 300));
  assert.equal((await post('/held', 70_000)).status, 200);
});
