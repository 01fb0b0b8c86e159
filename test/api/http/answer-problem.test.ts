import assert from 'node:assert/strict';
import { request as httpRequest } from 'node:http';
import { connect } from 'node:net';
import { after, before, test } from 'node:test';
import { bodyChunks } from '../../../api/http/body.ts';
import { FrechetError } from '../../../shared/errors.ts';
import { type Served, serve } from '../serve.ts';

const BODY_BYTES = 50 * 1024 * 1024;

let served: Served;
before(async () => {
  served = await serve([
    {
      method: 'POST',
      path: '/refused-at-once',
      handle: () => {
        throw new FrechetError('not-acceptable', 'no');
      },
    },
    {
      method: 'POST',
      path: '/refused-half-way',
      handle: async request => {
        let bytes = 0;
        for await (const chunk of bodyChunks(request)) {
          bytes += chunk.length;
          if (bytes > 1_000_000) throw new FrechetError('npy-trailing-data', 'no');
        }
      },
    },
    {
      method: 'POST',
      path: '/limited',
      handle: async (request, response) => {
        for await (const _ of bodyChunks(request, { bytesMax: 1_000_000 }));
        response.end();
      },
    },
  ]);
});
after(() => served.close());

/** Sends all of the body before it reads a byte of the answer, as simple clients do. */
function stubbornUpload(path: string, headers: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(served.port, '127.0.0.1');
    socket.on('error', reject);
    socket.pause();
    socket.write(`POST ${path} HTTP/1.1\r\nHost: a\r\n${headers}\r\n\r\n`);
    const piece = Buffer.alloc(1024 * 1024);
    let sent = 0;
    const send = () => {
      while (sent < BODY_BYTES) {
        sent += piece.length;
        if (!socket.write(piece)) return void socket.once('drain', send);
      }
      let text = '';
      socket.setEncoding('latin1').on('data', data => {
        text += data;
      });
      socket.on('end', () => resolve(text));
      socket.resume();
    };
    send();
  });
}

for (const [path, status] of [
  ['/refused-at-once', 406],
  ['/refused-half-way', 422],
  ['/limited', 413],
  ['/nothing', 404],
] as const) {
  test(`a client that sends 50 MiB to ${path} reads its problem`, async () => {
    const text = await stubbornUpload(path, `Content-Length: ${BODY_BYTES}`);
    assert.match(text, new RegExp(`^HTTP/1\\.1 ${status} `));
    assert.match(text, /Connection: close/i);
    assert.match(text, /urn:frechet:problem:[a-z-]+"/);
  });
}

test('a chunked upload that passes the limit is refused, and the problem arrives', async () => {
  const status = await new Promise((resolve, reject) => {
    const request = httpRequest(`${served.url}/limited`, { method: 'POST' }, response => {
      response.resume();
      response.on('end', () => resolve(response.statusCode));
    });
    request.on('error', reject);
    for (let i = 0; i < 50; i += 1) request.write(Buffer.alloc(1024 * 1024));
    request.end();
  });
  assert.equal(status, 413);
});

test('the connection is kept where the refused body was small', async () => {
  const body = 'x'.repeat(1000);
  const one = `POST /refused-at-once HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n${body}`;
  const text = await new Promise<string>((resolve, reject) => {
    const socket = connect(served.port, '127.0.0.1');
    let received = '';
    socket.on('error', reject).setEncoding('latin1');
    socket.on('data', data => {
      received += data;
      const answers = received.split('HTTP/1.1 406').length - 1;
      if (answers === 1 && received.endsWith('}')) socket.write(one);
      if (answers === 2 && received.endsWith('}')) {
        socket.destroy();
        resolve(received);
      }
    });
    socket.write(one);
  });
  assert.doesNotMatch(text, /Connection: close/i);
});
