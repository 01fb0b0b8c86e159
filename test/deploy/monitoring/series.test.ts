// What a process exports stays small whatever is asked of it, and is what Prometheus' own linter accepts.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { runCommand } from '../../../deploy/local/run-command.ts';
import { type Client, createClient, inline } from '../../support/client.ts';
import { integers } from '../../support/integers.ts';
import { matrixNpy } from '../../support/npy.ts';
import { type Stack, startStack } from '../../support/processes.ts';
import { temporaryFolder } from '../../support/temporary.ts';
import { prometheusProgram } from './promtool.ts';

const REQUESTS = 10_000;
const REQUESTS_AT_ONCE = 16;
const SERIES_MAX = 500;

let stack: Stack;
let client: Client;
before(async () => {
  stack = await startStack({
    env: { FRECHET_THREADS: '1', FRECHET_MEMORY_BYTES: '64MiB', FRECHET_LOG_LEVEL: 'error' },
  });
  client = createClient(stack.url);
});
after(() => stack.stop());

const scrape = async (url: string) => (await fetch(`${url}/metrics`)).text();
const countSeries = (text: string) =>
  text.split('\n').filter(line => line !== '' && !line.startsWith('#')).length;

/** What clients ask, and what they get wrong; every id, query and unknown path is new. */
function variedRequests(arrayId: string, jobId: string): readonly (() => Promise<Response>)[] {
  const json = { 'Content-Type': 'application/json' };
  const send =
    (method: string, path: string, headers: Record<string, string> = {}, body: string | null = null) =>
    () =>
      fetch(`${client.url}${path}`, { method, headers, body });
  const id = '01ARZ3NDEKTSV4RRFFQ69G5FAV';
  return [
    send('GET', `/v1/jobs/${jobId}`),
    send('GET', `/v1/jobs/${jobId}/result`),
    send('HEAD', `/v1/jobs/${jobId}/result`),
    send('GET', `/v1/jobs/${jobId}/result`, { Range: 'bytes=0-9' }),
    send('GET', `/v1/jobs/${jobId}/result`, { Range: 'bytes=99999999-' }),
    send('GET', `/v1/jobs/${jobId}/result`, { Accept: 'image/png' }),
    send('GET', `/v1/jobs/${jobId}/result/blocks`),
    send('GET', `/v1/jobs/${jobId}/result/blocks/0`),
    send('GET', `/v1/jobs/${jobId}/result/blocks/7`),
    send('GET', `/v1/jobs/${jobId}/events`),
    send('POST', `/v1/jobs/${jobId}/cancel`),
    () => fetch(`${client.url}/v1/jobs/${id.slice(0, 20)}${randomUUID().slice(0, 6).toUpperCase()}`),
    send('DELETE', `/v1/jobs/${id}`),
    send('GET', '/v1/jobs?limit=1'),
    send('GET', '/v1/jobs?limit=many'),
    send('POST', '/v1/jobs', json, '{'),
    send('POST', '/v1/jobs', json, '{"operation":"jvp","colour":1}'),
    send('POST', '/v1/jobs', { 'Content-Type': 'text/plain' }, 'A*W'),
    send(
      'POST',
      '/v1/jobs',
      json,
      JSON.stringify({
        operation: 'jvp',
        operands: { A: inline(integers(2, 2, 1)) },
        direction: inline(integers(2, 2, 2)),
      }),
    ),
    send(
      'POST',
      '/v1/plan',
      json,
      JSON.stringify({
        operation: 'jvp',
        operands: { A: inline(integers(2, 2, 1)) },
        direction: inline(integers(2, 2, 2)),
      }),
    ),
    send('POST', '/v1/plan', json, '[]'),
    send('GET', `/v1/arrays/${arrayId}`),
    send('GET', `/v1/arrays/${arrayId}/data`),
    send('GET', `/v1/arrays/${arrayId}/data`, { 'If-None-Match': `"${arrayId}"` }),
    send('GET', `/v1/arrays/${'0'.repeat(64)}`),
    send('DELETE', `/v1/arrays/${'0'.repeat(64)}`),
    send('GET', '/v1/arrays?limit=1'),
    send('POST', '/v1/arrays', json, JSON.stringify([[1, 2]])),
    send('POST', '/v1/arrays', json, '[[1],[2,3]]'),
    send('POST', '/v1/arrays', { 'Content-Type': 'application/x-npy' }, 'no array'),
    send('GET', '/v1/system'),
    send('GET', '/livez'),
    send('GET', '/readyz'),
    send('PATCH', '/v1/jobs'),
    send('PUT', `/v1/arrays/${arrayId}`),
    send('OPTIONS', '/v1/system'),
    () => fetch(`${client.url}/${randomUUID()}`),
    () => fetch(`${client.url}/v1/${randomUUID()}?${randomUUID()}`, { method: 'POST' }),
  ];
}

test(`after ${REQUESTS} varied requests every process exports fewer than ${SERIES_MAX} series`, async () => {
  const array = await client.upload(matrixNpy(integers(3, 2, 1)));
  const { id } = await client.compute({
    operation: 'jvp',
    operands: { A: array },
    direction: inline(integers(2, 2, 2)),
  });
  for (const dtype of ['float64', 'float32']) {
    for (const operation of ['value', 'jvp', 'vjp', 'jacobian', 'check']) {
      const operands = { A: array, W: inline(integers(2, 2, 3)) };
      const given =
        operation === 'jvp'
          ? { direction: inline(integers(2, 2, 2)) }
          : operation === 'vjp'
            ? { cotangent: inline(integers(3, 2, 2)) }
            : {};
      await client.compute({ operation, operands, ...given, dtype });
    }
  }
  const requests = variedRequests(array, id);
  let next = 0;
  const run = async () => {
    while (next < REQUESTS) {
      const response = await requests[next++ % requests.length]!();
      await response.body?.cancel();
    }
  };
  await Promise.all(Array.from({ length: REQUESTS_AT_ONCE }, run));
  const gateway = await scrape(stack.adminUrl);
  const worker = await scrape(stack.workers[0]!.ready.adminUrl);
  assert.match(gateway, /frechet_http_request_duration_seconds_count\{[^}]*unmatched/);
  for (const [role, text] of Object.entries({ gateway, worker })) {
    assert.ok(countSeries(text) < SERIES_MAX, `${role}: ${countSeries(text)} series`);
  }
});

test('promtool accepts names, types and help of everything that is exported', async context => {
  const folder = await temporaryFolder(context);
  const program = await prometheusProgram('promtool');
  for (const url of [stack.adminUrl, stack.workers[0]!.ready.adminUrl]) {
    const file = join(folder, 'metrics');
    await writeFile(file, await scrape(url));
    const { code, output } = await runCommand('sh', ['-c', '"$0" check metrics <"$1"', program, file]);
    assert.deepEqual({ code, output }, { code: 0, output: '' });
  }
});
