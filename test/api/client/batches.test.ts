// Batches, as the contract describes them.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createClient, ndArray } from '../../../api/client/index.ts';
import { sendJson, startStandIn } from './stand-in.ts';

const NO_COUNTS = { queued: 0, running: 0, succeeded: 0, failed: 0, cancelled: 0, rejected: 0 };
const watch = { pollMs: 5 };

test('a batch is one line a job, and an array in many lines is uploaded once', async context => {
  const { url, asked } = await startStandIn(context, ({ method, path }, response) => {
    if (path.startsWith('/v1/arrays/'))
      return sendJson(response, { type: 'urn:frechet:problem:not-found', status: 404 }, 404);
    if (path === '/v1/arrays') return sendJson(response, { id: 'a'.repeat(64) }, 201);
    assert.equal(`${method} ${path}`, 'POST /v1/batches');
    sendJson(response, { id: '01JB', total: 2, counts: { ...NO_COUNTS, queued: 2 } }, 202);
  });
  const A = ndArray(new Float64Array(10_000), [100, 100]);
  const batch = await createClient({ url }).batches.submit([
    { customId: 'first', operation: 'jvp', operands: { A }, direction: [[1]] },
    { operation: 'jvp', operands: { A }, direction: [[2]] },
  ]);
  assert.equal(batch.id, '01JB');
  assert.equal(asked.filter(({ method, path }) => method === 'POST' && path === '/v1/arrays').length, 1);
  const { body = '', headers } = asked.at(-1) ?? {};
  assert.equal(headers?.['content-type'], 'application/x-ndjson');
  assert.match(String(headers?.['idempotency-key']), /^[0-9a-f]{32}$/);
  const operands = { A: 'a'.repeat(64) };
  assert.deepEqual(
    body
      .trimEnd()
      .split('\n')
      .map(line => JSON.parse(line)),
    [
      { operation: 'jvp', customId: 'first', operands, direction: { data: [[1]] } },
      { operation: 'jvp', operands, direction: { data: [[2]] } },
    ],
  );
});

test('a batch is waited for, told of, listed and cancelled', async context => {
  let looks = 0;
  const { url, asked } = await startStandIn(context, ({ path }, response) => {
    if (path === '/v1/batches/01JB/jobs') {
      response.write('{"customId":"a","line":1,"job":{"id":"01J1"}}\n{"line":2,');
      return void setTimeout(() => response.end('"error":{"type":"urn:frechet:problem:schema"}}\n'), 10);
    }
    looks += 1;
    const counts =
      looks < 3 ? { ...NO_COUNTS, running: 1, rejected: 1 } : { ...NO_COUNTS, succeeded: 1, rejected: 1 };
    sendJson(response, { id: '01JB', total: 2, counts });
  });
  const { batches } = createClient({ url, watch });
  const running: number[] = [];
  const ended = await batches.wait('01JB', { onProgress: ({ counts }) => running.push(counts.running) });
  assert.deepEqual(running, [1, 1, 0]);
  assert.equal(ended.counts.succeeded, 1);
  const lines: unknown[] = [];
  for await (const line of batches.jobs(ended)) lines.push(line);
  assert.deepEqual(lines, [
    { customId: 'a', line: 1, job: { id: '01J1' } },
    { line: 2, error: { type: 'urn:frechet:problem:schema' } },
  ]);
  await batches.cancel(ended);
  assert.equal(`${asked.at(-1)?.method} ${asked.at(-1)?.path}`, 'POST /v1/batches/01JB/cancel');
});
