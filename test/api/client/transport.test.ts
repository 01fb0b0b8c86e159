// Retries, as a service that refuses, breaks off or is not there makes them necessary.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ConnectionError, createClient, FrechetProblem } from '../../../api/client/index.ts';
import { sendJson, sendProblem, startStandIn } from './stand-in.ts';

const retry = { delayMs: 1, delayMsMax: 4 };
const job = { id: '01JE', state: 'queued' };
const input = { operation: 'value', operands: { A: [[1]], W: [[2]] } } as const;

for (const status of [429, 502, 503, 504, 507]) {
  test(`a request is made again after ${status}`, async context => {
    const { url, asked } = await startStandIn(context, (_request, response, count) => {
      if (count < 2) sendProblem(response, 'system-busy', status);
      else sendJson(response, job);
    });
    assert.equal((await createClient({ url, retry }).jobs.get('01JE')).id, '01JE');
    assert.equal(asked.length, 3);
  });
}

for (const status of [400, 404, 409, 422, 500]) {
  test(`a request is not made again after ${status}`, async context => {
    const { url, asked } = await startStandIn(context, (_request, response) =>
      sendProblem(response, 'some-slug', status),
    );
    await assert.rejects(createClient({ url, retry }).jobs.get('01JE'), { slug: 'some-slug', status });
    assert.equal(asked.length, 1);
  });
}

test('Retry-After is waited for', async context => {
  const times: number[] = [];
  const { url } = await startStandIn(context, (_request, response, count) => {
    times.push(performance.now());
    if (count === 0) sendProblem(response, 'too-many-requests', 429, { 'Retry-After': '1' });
    else sendJson(response, job);
  });
  await createClient({ url, retry }).jobs.get('01JE');
  assert.ok((times[1] ?? 0) - (times[0] ?? 0) >= 990);
});

test('a Retry-After longer than patience is the caller’s to handle', async context => {
  const { url, asked } = await startStandIn(context, (_request, response) =>
    sendProblem(response, 'store-full', 507, { 'Retry-After': '3600' }),
  );
  await assert.rejects(createClient({ url, retry }).jobs.get('01JE'), {
    slug: 'store-full',
    retryAfterSeconds: 3600,
  });
  assert.equal(asked.length, 1);
});

test('a submission whose answer is lost is sent again with the same key and bytes', async context => {
  const { url, asked } = await startStandIn(context, (_request, response, count) => {
    if (count === 0) response.destroy();
    else if (count === 1) sendProblem(response, 'idempotency-in-progress', 409);
    else sendJson(response, job, 202);
  });
  assert.equal((await createClient({ url, retry }).jobs.submit(input)).id, '01JE');
  const sent = asked.map(({ body, headers }) => `${headers['idempotency-key']} ${body}`);
  assert.equal(sent.length, 3);
  assert.equal(new Set(sent).size, 1);
  assert.match(sent[0] ?? '', /^[0-9a-f]{32} \{"operation":"value"/);
});

test('two submissions have two keys, and a given key is used', async context => {
  const { url, asked } = await startStandIn(context, (_request, response) => sendJson(response, job));
  const client = createClient({ url });
  for (const options of [{}, {}, { idempotencyKey: 'mine' }]) await client.jobs.submit(input, options);
  const keys = asked.map(({ headers }) => headers['idempotency-key']);
  assert.equal(new Set(keys).size, 3);
  assert.equal(keys[2], 'mine');
});

test('nobody there is a ConnectionError that says where, after the retries', async () => {
  const client = createClient({ url: 'http://127.0.0.1:1', retry: { ...retry, retries: 2 } });
  await assert.rejects(client.system(), (error: unknown) => {
    assert.ok(error instanceof ConnectionError);
    assert.match(error.message, /http:\/\/127\.0\.0\.1:1 cannot be reached/);
    return true;
  });
});

test('a one-way stream is sent once', async context => {
  const { url, asked } = await startStandIn(context, (_request, response) =>
    sendProblem(response, 'system-busy', 503),
  );
  const upload = createClient({ url, retry }).arrays.upload(new Blob(['x']).stream());
  await assert.rejects(upload, { status: 503 });
  assert.equal(asked.length, 1);
});

test('a signal ends the wait between attempts', async context => {
  const { url } = await startStandIn(context, (_request, response) =>
    sendProblem(response, 'system-busy', 503, { 'Retry-After': '30' }),
  );
  const signal = AbortSignal.timeout(50);
  await assert.rejects(createClient({ url }).jobs.get('01JE', { signal }), { name: 'TimeoutError' });
});

test('the key goes with every request', async context => {
  const { url, asked } = await startStandIn(context, (_request, response) => sendJson(response, job));
  await createClient({ url, key: 'secret' }).jobs.submit(input);
  assert.equal(asked[0]?.headers.authorization, 'Bearer secret');
});

test('a page of somebody else is a problem, whether it says that all is well or not', async context => {
  const { url } = await startStandIn(context, (_request, response, count) => {
    response.writeHead(count === 0 ? 200 : 403, { 'Content-Type': 'text/html' }).end('<h1>Hello</h1>');
  });
  const client = createClient({ url, retry });
  await assert.rejects(client.system(), (error: unknown) => {
    assert.ok(error instanceof FrechetProblem);
    assert.match(error.message, /not JSON/);
    return true;
  });
  await assert.rejects(client.system(), { slug: 'http-403', status: 403 });
});
