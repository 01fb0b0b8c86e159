// After some jobs, every metric of the contract is there, with its type and labels, and says what happened.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { METRICS } from '../house/contract.ts';
import { type Client, createClient, inline } from '../support/client.ts';
import { integers } from '../support/integers.ts';
import { matrixNpy } from '../support/npy.ts';
import { type Stack, startStack } from '../support/processes.ts';

const [M, N, P] = [61, 53, 47];
const SETTINGS = { FRECHET_KERNEL: 'wasm', FRECHET_THREADS: '2', FRECHET_MEMORY_BYTES: '256MiB' };

let stack: Stack;
let client: Client;
let texts: { gateway: string; worker: string };
before(async () => {
  stack = await startStack({ env: SETTINGS });
  client = createClient(stack.url);
  const [A, H, G] = await Promise.all(
    [integers(M, N, 1), integers(N, P, 2), integers(M, P, 3)].map(matrix => client.upload(matrixNpy(matrix))),
  );
  await client.compute({ operation: 'jvp', operands: { A }, direction: H });
  await client.compute({ operation: 'jvp', operands: { A }, direction: H, dtype: 'float32' });
  await client.compute({ operation: 'vjp', operands: { A }, cotangent: G });
  const huge = { data: [[1e200]] };
  const failing = await client.submit({ operation: 'check', expression: 'W*W', operands: { W: huge } });
  await client.until(failing.id);
  await client.get('/v1/jobs/01ARZ3NDEKTSV4RRFFQ69G5FAV');
  await client.post(
    '/v1/jobs',
    JSON.stringify({ operation: 'jvp', operands: { A: inline(integers(1, 1, 1)) } }),
  );
  const scrape = async (url: string) => (await fetch(`${url}/metrics`)).text();
  texts = {
    gateway: await scrape(stack.adminUrl),
    worker: await scrape(stack.workers[0]?.ready.adminUrl ?? ''),
  };
});
after(() => stack.stop());

interface Series {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

function parseSeries(text: string): Series[] {
  return text
    .split('\n')
    .filter(line => line.startsWith('frechet_'))
    .map(line => {
      const match = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line);
      assert.ok(match, line);
      const [, name = '', labels = '', value = ''] = match;
      const pairs = [...labels.matchAll(/(\w+)="([^"]*)"/g)].map(([, key, label]) => [key, label]);
      return { name, labels: Object.fromEntries(pairs), value: value === '+Inf' ? Infinity : Number(value) };
    });
}

function sum(text: string, name: string, labels: Readonly<Record<string, string>> = {}): number {
  const series = parseSeries(text).filter(
    one => one.name === name && Object.entries(labels).every(([key, value]) => one.labels[key] === value),
  );
  return series.reduce((total, { value }) => total + value, 0);
}

test('every metric of the contract is exposed with its type, by gateway or worker', () => {
  const both = `${texts.gateway}\n${texts.worker}`;
  for (const [name, [type]] of Object.entries(METRICS)) {
    assert.match(both, new RegExp(`^# HELP ${name} \\S`, 'm'));
    assert.match(both, new RegExp(`^# TYPE ${name} ${type}$`, 'm'));
  }
});

test('every series has the labels of the contract, from closed sets, and a value', () => {
  const known: Readonly<Record<string, RegExp>> = {
    operation: /^(value|jvp|vjp|jacobian|check)$/,
    outcome: /^(succeeded|failed|cancelled|stored|present|retried)$/,
    state: /^(queued|running|busy|idle)$/,
    phase: /^(load|compute|verify|store)$/,
    kernel: /^(none|native|wasm|reference)$/,
    dtype: /^(float64|float32)$/,
    kind: /^(used|limit)$/,
    result: /^(hit|miss)$/,
    direction: /^(read|write)$/,
    method: /^(GET|HEAD|POST|DELETE|other)$/,
    route: /^(\/[a-z0-9/{}A-Z]*|other|none|unknown|unmatched)$/,
    status: /^[1-5]\d\d$/,
    version: /^\d+\.\d+\.\d+/,
  };
  for (const { name, labels, value } of [texts.gateway, texts.worker].flatMap(parseSeries)) {
    assert.ok(Number.isFinite(value), name);
    const family = name.replace(/_(bucket|sum|count)$/, '');
    const expected = (METRICS[name] ?? METRICS[family])?.slice(1) ?? [];
    const { le: _bound, ...own } = labels;
    assert.deepEqual(Object.keys(own).sort(), [...expected].sort(), name);
    for (const [key, label] of Object.entries(own)) assert.match(label, known[key] ?? /$^/, `${name} ${key}`);
  }
});

test('jobs, flops and blocks are counted exactly', () => {
  const { gateway, worker } = texts;
  assert.equal(sum(gateway, 'frechet_jobs_submitted_total', { operation: 'jvp' }), 2);
  assert.equal(sum(gateway, 'frechet_jobs_submitted_total', { operation: 'vjp' }), 1);
  assert.equal(sum(worker, 'frechet_jobs_finished_total', { operation: 'jvp', outcome: 'succeeded' }), 2);
  assert.equal(sum(worker, 'frechet_jobs_finished_total', { operation: 'check', outcome: 'failed' }), 1);
  assert.equal(sum(worker, 'frechet_flops_total', { kernel: 'wasm', dtype: 'float64' }), 2 * 2 * M * N * P);
  assert.equal(sum(worker, 'frechet_flops_total', { kernel: 'wasm', dtype: 'float32' }), 2 * M * N * P);
  assert.equal(sum(worker, 'frechet_blocks_finished_total', { outcome: 'stored' }), 3);
  assert.equal(sum(worker, 'frechet_blocks_finished_total', { outcome: 'failed' }), 1);
  assert.equal(sum(worker, 'frechet_verification_failures_total'), 0);
  assert.equal(sum(worker, 'frechet_stalled_blocks_total'), 0);
});

test('times are observed once for each job and block', () => {
  const { gateway, worker } = texts;
  assert.equal(sum(worker, 'frechet_job_queue_seconds_count'), 4);
  assert.equal(sum(worker, 'frechet_job_duration_seconds_count', { operation: 'vjp' }), 1);
  for (const phase of ['load', 'compute', 'verify', 'store']) {
    assert.equal(sum(worker, 'frechet_block_phase_seconds_count', { phase }), 3, phase);
  }
  const submitted = { method: 'POST', route: '/v1/jobs' };
  assert.equal(
    sum(gateway, 'frechet_http_request_duration_seconds_count', { ...submitted, status: '415' }),
    1,
  );
  const missed = { method: 'GET', route: '/v1/jobs/{jobId}', status: '404' };
  assert.equal(sum(gateway, 'frechet_http_request_duration_seconds_count', missed), 1);
});

test('what is in use adds up, and nothing is left to do', () => {
  const { gateway, worker } = texts;
  assert.equal(sum(worker, 'frechet_threads'), 2);
  assert.equal(sum(worker, 'frechet_threads', { state: 'busy' }), 0);
  assert.equal(sum(worker, 'frechet_memory_bytes', { kind: 'limit' }), 256 * 1024 * 1024);
  assert.ok(sum(worker, 'frechet_memory_bytes', { kind: 'used' }) < 256 * 1024 * 1024);
  assert.equal(sum(gateway, 'frechet_jobs'), 0);
  assert.equal(sum(gateway, 'frechet_backlog_flops'), 0);
  assert.equal(sum(gateway, 'frechet_build_info'), 1);
  assert.equal(sum(worker, 'frechet_build_info', { kernel: 'wasm' }), 1);
});

test('the store counts at least what was uploaded and computed, the cache that A was read once', () => {
  const { gateway, worker } = texts;
  const operandBytes = 8 * (M * N + N * P + M * P);
  assert.ok(sum(gateway, 'frechet_store_bytes_total', { direction: 'write' }) >= operandBytes);
  assert.ok(sum(worker, 'frechet_store_bytes_total', { direction: 'read' }) >= operandBytes);
  assert.ok(
    sum(worker, 'frechet_store_bytes_total', { direction: 'write' }) >= 8 * (M * P + N * P) + 4 * M * P,
  );
  assert.equal(sum(worker, 'frechet_array_cache_requests_total', { result: 'hit' }), 1);
});

test('the system document shows the worker', async () => {
  const system = (await (await client.get('/v1/system')).json()) as {
    workers: { kernel: string; threads: number; memoryBytes: number }[];
  };
  assert.equal(system.workers.length, 1);
  const [worker] = system.workers;
  assert.deepEqual([worker?.kernel, worker?.threads, worker?.memoryBytes], ['wasm', 2, 256 * 1024 * 1024]);
});
