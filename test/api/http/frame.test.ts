import assert from 'node:assert/strict';
import { request as httpRequest } from 'node:http';
import { after, before, test } from 'node:test';
import { bodyChunks, readJson, requireMediaType } from '../../../api/http/body.ts';
import type { Route } from '../../../api/http/route.ts';
import { pathParameter } from '../../../api/http/route.ts';
import { FrechetError } from '../../../shared/errors.ts';
import { assertProblem } from '../problem-assertions.ts';
import { exchange, type Served, serve } from '../serve.ts';

const routes: readonly Route[] = [
  { method: 'GET', path: '/things', handle: (_request, response) => void response.json({ ok: true }) },
  {
    method: 'POST',
    path: '/things',
    handle: async (request, response) => {
      requireMediaType(request, ['application/json']);
      response.json({ got: await readJson(request) });
    },
  },
  {
    method: 'GET',
    path: '/things/{name}',
    handle: (request, response) => void response.json({ name: pathParameter(request, 'name') }),
  },
  {
    method: 'GET',
    path: '/bug',
    handle: () => {
      throw new TypeError('secret /etc/passwd');
    },
  },
  {
    method: 'GET',
    path: '/later-bug',
    handle: async () => {
      await Promise.resolve();
      throw new TypeError('secret /etc/passwd');
    },
  },
  {
    method: 'GET',
    path: '/torn',
    handle: async (_request, response) => {
      response.setHeader('Content-Length', 1000);
      response.write('half');
      await new Promise(resolve => setTimeout(resolve, 20));
      throw new FrechetError('result-corrupt', 'found late');
    },
  },
  {
    method: 'GET',
    path: '/full',
    handle: () => {
      throw new FrechetError('store-full', 'no space', { retryAfterSeconds: 77 });
    },
  },
  {
    method: 'POST',
    path: '/slow',
    handle: async (request, response) => {
      let bytes = 0;
      for await (const chunk of bodyChunks(request, { windowSeconds: 0.3 })) bytes += chunk.length;
      response.json({ bytes });
    },
  },
];

let served: Served;
before(async () => {
  served = await serve(routes);
});
after(() => served.close());

const get = (path: string, init?: RequestInit) => fetch(`${served.url}${path}`, init);
const post = (path: string, body: string | Uint8Array<ArrayBuffer>, headers: Record<string, string> = {}) =>
  get(path, { method: 'POST', body, headers });

/** Sends bytes over a bare socket, and reads status line, headers and body back. */
async function raw(bytes: string | Buffer, silenceMs?: number) {
  const text = await exchange(served.port, bytes, silenceMs);
  const [head = '', body = ''] = text.split('\r\n\r\n', 2);
  return { status: Number(head.split(' ')[1]), head, body };
}

test('an answer carries a request id of our own, no name of the framework, and nothing to sniff', async () => {
  const first = await get('/things', { headers: { 'X-Request-Id': 'mine' } });
  const second = await get('/things');
  assert.equal(first.status, 200);
  assert.notEqual(first.headers.get('x-request-id'), 'mine');
  assert.notEqual(first.headers.get('x-request-id'), second.headers.get('x-request-id'));
  assert.equal(first.headers.get('x-powered-by'), null);
  assert.equal(first.headers.get('x-content-type-options'), 'nosniff');
  assert.equal(first.headers.get('etag'), null);
});

test('an unknown path is 404, whatever the method and the spelling', async () => {
  for (const path of ['/', '/nothing', '/Things', '/things/', '/things/a/b']) {
    await assertProblem(await get(path), 'not-found');
    await assertProblem(await get(path, { method: 'DELETE' }), 'not-found');
  }
});

test('a known path with another method is 405 and says which are allowed', async () => {
  for (const method of ['PUT', 'DELETE', 'PATCH', 'OPTIONS']) {
    const response = await get('/things', { method });
    await assertProblem(response, 'method-not-allowed');
    assert.equal(response.headers.get('allow'), 'GET, HEAD, POST');
  }
  const response = await post('/things/a', '{}');
  await assertProblem(response, 'method-not-allowed');
  assert.equal(response.headers.get('allow'), 'GET, HEAD');
});

test('HEAD answers as GET does, without the body', async () => {
  const response = await get('/things', { method: 'HEAD' });
  assert.equal(response.status, 200);
  assert.match(response.headers.get('content-type') ?? '', /^application\/json/);
  assert.equal(await response.text(), '');
  const missing = await get('/nothing', { method: 'HEAD' });
  assert.equal(missing.status, 404);
  assert.equal(await missing.text(), '');
});

test('a path that does not decode is 400', async () => {
  await assertProblem(await get('/things/%E0%A4%A'), 'http-syntax');
  assert.deepEqual(await (await get('/things/%C3%A9')).json(), { name: 'é' });
});

test('a bug is 500 without a word of what it was; the log has it', async () => {
  for (const path of ['/bug', '/later-bug']) {
    const response = await get(path);
    const problem = await assertProblem(response, 'internal');
    assert.doesNotMatch(JSON.stringify(problem), /secret|passwd|TypeError/);
    const line = served.lines.find(entry => entry.requestId === problem.instance && entry.level === 'error');
    assert.match(JSON.stringify(line), /secret/);
    assert.match(JSON.stringify(line), /frame\.test/, 'with its stack');
  }
});

test('an answer that fails half-way breaks off: it never looks whole', async () => {
  const response = await get('/torn');
  assert.equal(response.status, 200);
  await assert.rejects(response.text());
});

test('Retry-After is what the error says', async () => {
  const response = await get('/full');
  await assertProblem(response, 'store-full');
  assert.equal(response.headers.get('retry-after'), '77');
});

test('a URL over the limit is 414, just over it and far over it', async () => {
  await assertProblem(await get(`/things?x=${'a'.repeat(9_000)}`), 'uri-too-long');
  for (const length of [20_000, 60_000, 1_000_000]) {
    const { status, body } = await raw(`GET /things?x=${'a'.repeat(length)} HTTP/1.1\r\nHost: a\r\n\r\n`);
    assert.equal(status, 414, `${length}`);
    assert.match(body, /urn:frechet:problem:uri-too-long/);
  }
});

test('headers over the limit are 400, and the answer arrives although more was sent', async () => {
  for (const length of [40_000, 2_000_000]) {
    const { status, body, head } = await raw(
      `GET /things HTTP/1.1\r\nHost: a\r\nX-Long: ${'a'.repeat(length)}\r\n\r\n`,
    );
    assert.equal(status, 400, `${length}`);
    assert.match(body, /urn:frechet:problem:http-syntax/);
    assert.match(head, /Content-Type: application\/problem\+json/);
  }
});

test('what is not HTTP is 400', async () => {
  const bodies = [
    'hello\r\n\r\n',
    'GET /things HTTP/9.9\r\nHost: a\r\n\r\n',
    'GET /things HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n',
    'POST /things HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    'POST /things HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}',
    'POST /things HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n',
    'GET /things HTTP/1.1\r\nHost: a\r\nBad Header: x\r\n\r\n',
    'GET /things HTTP/1.1\r\n\r\n',
  ];
  for (const bytes of bodies) {
    const { status, body } = await raw(bytes, 500);
    assert.equal(status, 400, bytes);
    assert.match(body, /"type":"urn:frechet:problem:http-syntax"/, bytes);
  }
});

test('an expectation other than 100-continue is 417', async () => {
  const { status, body } = await raw('GET /things HTTP/1.1\r\nHost: a\r\nExpect: miracles\r\n\r\n', 500);
  assert.equal(status, 417);
  assert.match(body, /expectation-failed/);
});

test('a request that was under way when the gateway began to end is told to leave, too', async context => {
  const draining = new AbortController();
  let arrived = () => {};
  const arrival = new Promise<void>(resolve => {
    arrived = resolve;
  });
  const path = '/waits';
  const handle: Route['handle'] = async (_request, response) => {
    arrived();
    await new Promise(resolve => draining.signal.addEventListener('abort', resolve));
    response.json({});
  };
  const leaving = await serve([{ method: 'GET', path, handle }], draining.signal);
  context.after(() => leaving.close());
  const answer = exchange(leaving.port, `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`);
  await arrival;
  draining.abort();
  assert.match(await answer, /^HTTP\/1\.1 200.*\r\nConnection: close\r\n/s);
});

test('100-continue is sent when the body is wanted, and not before', async () => {
  const head = (path: string) =>
    `POST ${path} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n`;
  assert.match(
    await exchange(served.port, `${head('/things')}{}`, 500),
    /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200/,
  );
  const startedAt = performance.now();
  const refused = await exchange(served.port, head('/nothing'));
  assert.match(refused, /^HTTP\/1\.1 404/);
  assert.match(refused, /Connection: close/i);
  assert.ok(
    performance.now() - startedAt < 2_000,
    'and the connection closes at once: nothing is on its way',
  );
});

test('a JSON body is UTF-8 and JSON; the answer to anything else quotes nothing of it', async () => {
  const type = { 'Content-Type': 'application/json' };
  assert.deepEqual(await (await post('/things', '{"é":1}', type)).json(), { got: { é: 1 } });
  for (const body of ['', '{', '{"a":1,}', 'secret', '[1e]', '\u0000']) {
    const problem = await assertProblem(await post('/things', body, type), 'json-syntax');
    assert.doesNotMatch(problem.detail, /secret/);
  }
  await assertProblem(await post('/things', new Uint8Array([0x22, 0xff, 0x22]), type), 'json-syntax');
  // A million brackets must not end the process: they are not even parsed.
  await assertProblem(await post('/things', '['.repeat(1_000_000), type), 'schema');
});

test('another media type, charset or encoding is 415', async () => {
  for (const type of ['text/plain', 'application/json2', 'application', 'application/json; charset=latin1']) {
    await assertProblem(await post('/things', '{}', { 'Content-Type': type }), 'media-type-unsupported');
  }
  const untyped = await raw('POST /things HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}', 500);
  assert.equal(untyped.status, 415);
  const json = { 'Content-Type': 'Application/JSON ; Charset="UTF-8"' };
  assert.equal((await post('/things', '{}', json)).status, 200);
  assert.equal((await post('/things', '{}', { ...json, 'Content-Encoding': 'identity' })).status, 200);
  for (const encoding of ['gzip', 'br', 'identity, gzip']) {
    const response = await post('/things', '{}', { ...json, 'Content-Encoding': encoding });
    await assertProblem(response, 'encoding-unsupported');
  }
  const transfer = await raw(
    'POST /things HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n',
    500,
  );
  assert.equal(transfer.status, 415);
});

test('a body that stops arriving is 408; one that crawls too', async () => {
  const head = 'POST /slow HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n';
  const { status, body } = await raw(`${head}abc`);
  assert.equal(status, 408);
  assert.match(body, /request-timeout/);
  const crawling = await new Promise<number | undefined>((resolve, reject) => {
    const request = httpRequest(`${served.url}/slow`, { method: 'POST' }, response => {
      clearInterval(drip);
      response.resume();
      resolve(response.statusCode);
    });
    request.on('error', reject);
    const drip = setInterval(() => request.write('x'), 30);
  });
  assert.equal(crawling, 408);
});

test('a body that is slow but moves is read to its end', async () => {
  const answer = await new Promise<string>((resolve, reject) => {
    const request = httpRequest(`${served.url}/slow`, { method: 'POST' }, response => {
      response.setEncoding('utf8').on('data', resolve);
    });
    request.on('error', reject);
    let sent = 0;
    const drip = setInterval(() => {
      request.write('x'.repeat(20_000));
      sent += 20_000;
      if (sent < 400_000) return;
      clearInterval(drip);
      request.end();
    }, 40);
  });
  assert.deepEqual(JSON.parse(answer), { bytes: 400_000 });
});

test('a client that goes away in its body disturbs nobody and is no bug', async () => {
  const before = served.lines.filter(line => line.level === 'error').length;
  await new Promise<void>(resolve => {
    const request = httpRequest(`${served.url}/things`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', 'Content-Length': 1000 },
    });
    request.on('error', () => resolve());
    request.write('{');
    setTimeout(() => request.destroy(), 50);
  });
  await new Promise(resolve => setTimeout(resolve, 50));
  assert.equal((await get('/things')).status, 200);
  assert.equal(served.lines.filter(line => line.level === 'error').length, before);
});

test('requests are logged and measured by route, never by what is in a URL', async () => {
  await get('/things/secret-name?token=secret-token');
  await get('/secret-path');
  await new Promise(resolve => setTimeout(resolve, 20));
  const metrics = await served.scrape();
  assert.match(
    metrics,
    /request_duration_seconds_count\{method="GET",route="\/things\/\{name\}",status="200"\}/,
  );
  assert.match(metrics, /request_duration_seconds_count\{method="GET",route="unmatched",status="404"\}/);
  assert.doesNotMatch(metrics, /secret/);
  assert.doesNotMatch(JSON.stringify(served.lines), /secret-token/);
  const line = served.lines.find(entry => entry.path === '/things/secret-name');
  assert.equal(line?.route, '/things/{name}');
  assert.equal(line?.status, 200);
});
