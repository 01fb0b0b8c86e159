// Every problem a client can cause, on the real service: its slug, its status, and that nothing is left behind.

import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { ERRORS, type ErrorCode } from '../../shared/errors.ts';
import { JSON_BODY_BYTES_MAX } from '../../shared/job/limits.ts';
import { assertProblem } from '../api/problem-assertions.ts';
import { exchange } from '../api/serve.ts';
import { AWAITED } from '../house/contract.ts';
import { type Client, createClient } from '../support/client.ts';
import { encodeNpy } from '../support/npy.ts';
import { type Stack, startStack } from '../support/processes.ts';

const A = { data: [[1, 2]] };
const JOB = { operation: 'jvp', operands: { A }, direction: { data: [[1], [1]] } };
const HUGE = { data: [[1e200]] };
/** F(W) is beyond the finite numbers, so nothing can be checked. */
const OVERFLOWING = { operation: 'check', expression: 'W*W', operands: { W: HUGE } };
const NPY = encodeNpy({ shape: [1, 2], dtype: 'float64', order: 'C', values: [1, 2] });
const ABSENT = '0'.repeat(64);

let stack: Stack;
let client: Client;
/** What stands for `{name}` in the paths below: jobs by how they ended, and an array. */
const ids: Record<string, string> = { absent: '01ARZ3NDEKTSV4RRFFQ69G5FAV', none: ABSENT };
before(async () => {
  stack = await startStack({ env: { FRECHET_MEMORY_BYTES: '256MiB', FRECHET_THREADS: '1' } });
  client = createClient(stack.url);
  ids.array = await client.upload(NPY);
  ids.succeeded = (await client.compute(JOB)).id;
  const batch = await client.post('/v1/batches', JSON.stringify(JOB), {
    'Content-Type': 'application/x-ndjson',
  });
  ids.batch = ((await batch.json()) as { id: string }).id;
  const succeededLines = async () =>
    ((await (await send({ path: '/v1/batches/{batch}' })).json()) as { counts: { succeeded: number } }).counts
      .succeeded;
  while ((await succeededLines()) === 0) await sleep(25);
  ids.failed = (await client.until((await client.submit(OVERFLOWING)).id)).id;
});
after(() => stack.stop());

async function storedFiles(): Promise<string[]> {
  const entries = await readdir(join(stack.dataDir, 'store'), { recursive: true, withFileTypes: true });
  return entries
    .filter(entry => entry.isFile())
    .map(entry => join(entry.parentPath, entry.name))
    .sort();
}

interface Request {
  readonly method?: string;
  readonly path: string;
  readonly headers?: Record<string, string>;
  readonly body?: string | Uint8Array<ArrayBuffer>;
}

function send({ method, path, headers, body }: Request): Promise<Response> {
  const target = path.replaceAll(/\{(\w+)\}/g, (_match, name: string) => ids[name] ?? name);
  const verb = method ?? (body === undefined ? 'GET' : 'POST');
  return fetch(client.url + target, { method: verb, headers: headers ?? {}, body: body ?? null });
}

const json = (path: string, body: unknown): Request => ({
  path,
  headers: { 'Content-Type': 'application/json' },
  body: typeof body === 'string' ? body : JSON.stringify(body),
});
const job = (changes: object) => json('/v1/jobs', { ...JOB, ...changes });
const accept = (path: string, type: string): Request => ({ path, headers: { Accept: type } });
const range = (path: string, bytes: string): Request => ({ path, headers: { Range: `bytes=${bytes}` } });

function npy(body: Buffer<ArrayBuffer>): Request & { readonly body: Buffer<ArrayBuffer> } {
  return { path: '/v1/arrays', headers: { 'Content-Type': 'application/x-npy' }, body };
}

/** The .npy of two numbers with another text of the same length somewhere in its header. */
function forged(text: string, other: string): ReturnType<typeof npy> {
  const latin = NPY.toString('latin1');
  assert.ok(latin.includes(text) && other.length <= text.length, `${text} can be replaced`);
  return npy(Buffer.from(latin.replace(text, other.padEnd(text.length)), 'latin1'));
}

function parts(...sent: readonly (readonly [headers: string, body: string])[]): Request {
  const body = sent.map(
    ([headers, content]) => `--b\r\nContent-Disposition: form-data; ${headers}\r\n\r\n${content}\r\n`,
  );
  const headers = { 'Content-Type': 'multipart/form-data; boundary=b' };
  return { path: '/v1/jobs', headers, body: Buffer.from(`${body.join('')}--b--\r\n`, 'latin1') };
}

/** A job and an array beside it. */
function withPart(array: Buffer): Request {
  return parts(['name="job"', JSON.stringify(JOB)], ['name="A"', array.toString('latin1')]);
}

const CASES: readonly (readonly [code: ErrorCode, what: string, request: Request])[] = [
  ['json-syntax', 'a job that ends too early', json('/v1/jobs', '{"operation":')],
  ['json-syntax', 'an array that is no JSON', json('/v1/arrays', '[[1,]]')],
  ['query-invalid', 'a limit that is no number', { path: '/v1/jobs?limit=x' }],
  ['query-invalid', 'a state that does not exist', { path: '/v1/jobs?state=done' }],
  ['query-invalid', 'a cursor that nobody gave', { path: '/v1/arrays?cursor=!' }],
  ['multipart-syntax', 'a form without a job', parts(['name="A"', NPY.toString('latin1')])],
  ['not-found', 'a path that does not exist', { path: '/v2/jobs' }],
  ['not-found', 'a job that does not exist', { path: '/v1/jobs/{absent}' }],
  ['not-found', 'the result of no job', { path: '/v1/jobs/{absent}/result' }],
  ['not-found', 'the events of no job', { path: '/v1/jobs/{absent}/events' }],
  ['not-found', 'cancelling no job', { method: 'POST', path: '/v1/jobs/{absent}/cancel' }],
  ['not-found', 'deleting no job', { method: 'DELETE', path: '/v1/jobs/{absent}' }],
  ['not-found', 'a block beyond the last', { path: '/v1/jobs/{succeeded}/result/blocks/1' }],
  ['not-found', 'a block that is no number', { path: '/v1/jobs/{succeeded}/result/blocks/x' }],
  ['not-found', 'a batch that does not exist', { path: '/v1/batches/{absent}' }],
  ['not-found', 'cancelling no batch', { method: 'POST', path: '/v1/batches/{absent}/cancel' }],
  ['not-found', 'an array that does not exist', { path: '/v1/arrays/{none}' }],
  ['not-found', 'deleting no array', { method: 'DELETE', path: '/v1/arrays/{none}' }],
  ['not-acceptable', 'an array as an image', accept('/v1/arrays/{array}/data', 'image/png')],
  ['not-acceptable', 'a result as HTML', accept('/v1/jobs/{succeeded}/result', 'text/html')],
  ['not-acceptable', 'events as JSON', accept('/v1/jobs/{succeeded}/events', 'application/json')],
  ['job-failed', 'the result of a job that failed', { path: '/v1/jobs/{failed}/result' }],
  ['job-finished', 'cancelling what has ended', { method: 'POST', path: '/v1/jobs/{succeeded}/cancel' }],
  ['job-finished', 'cancelling what has failed', { method: 'POST', path: '/v1/jobs/{failed}/cancel' }],
  ['body-too-large', 'JSON beyond the limit', json('/v1/arrays', ' '.repeat(JSON_BODY_BYTES_MAX + 1))],
  ['uri-too-long', 'a URL beyond the limit', { path: `/v1/jobs?${'x'.repeat(9000)}` }],
  ['media-type-unsupported', 'an array in XML', { ...npy(NPY), headers: { 'Content-Type': 'text/xml' } }],
  ['media-type-unsupported', 'a job without a type', { path: '/v1/jobs', body: Uint8Array.of(1) }],
  [
    'encoding-unsupported',
    'a compressed array',
    { ...npy(NPY), headers: { 'Content-Type': 'application/x-npy', 'Content-Encoding': 'gzip' } },
  ],
  ['range-not-satisfiable', 'bytes past a result', range('/v1/jobs/{succeeded}/result', '1000-')],
  ['range-not-satisfiable', 'bytes past an array', range('/v1/arrays/{array}/data', '1000-')],
  ['range-not-satisfiable', 'the last no bytes', range('/v1/arrays/{array}/data', '-0')],
  ['schema', 'a job that is a list', json('/v1/jobs', [])],
  ['schema', 'an operation that does not exist', job({ operation: 'curl' })],
  ['schema', 'a property nobody knows', job({ prio: 1 })],
  ['schema', 'a number outside float64', json('/v1/arrays', '[[1e999]]')],
  ['array-syntax', 'rows of different lengths', json('/v1/arrays', [[1, 2], [3]])],
  ['npy-bad-magic', 'no .npy at all', npy(Buffer.from('PK\x03\x04 something else'))],
  ['npy-version', 'a version of the future', forged('NUMPY\x01', 'NUMPY\x09')],
  ['npy-header-too-large', 'a header of 64 KiB', forged('NUMPY\x01\x00v\x00', 'NUMPY\x01\x00\xff\xff')],
  ['npy-header-syntax', 'a header that is no dictionary', forged("{'descr'", "['descr'")],
  ['npy-shape', 'a negative side', forged('(1, 2,)', '(-1, 2)')],
  ['npy-rank', 'four dimensions', forged("'shape': (1, 2,), }", "'shape':(1,1,1,2)}")],
  ['npy-dtype-unsupported', 'Python objects', forged("'<f8'", "'|O'")],
  ['npy-lossy-cast', 'an integer beyond 2^53', forged("'<f8'", "'<i8'")],
  ['npy-size-mismatch', 'a length that is not that of the shape', forged('(1, 2,)', '(1, 3,)')],
  ['npy-truncated', 'a part that ends too early', withPart(NPY.subarray(0, -1))],
  ['npy-trailing-data', 'a part that goes on', withPart(Buffer.concat([NPY, NPY]))],
  ['array-too-large', 'a part of a terabyte', withPart(forged('2,), }          ', '137438953472,)}').body)],
  ['expression-syntax', 'an expression that is none', job({ expression: 'A**W' })],
  [
    'expression-too-large',
    'an expression of 65 levels',
    job({ expression: `${'('.repeat(65)}W${')'.repeat(65)}` }),
  ],
  ['unknown-symbol', 'a variable that does not occur', job({ wrt: 'X' })],
  ['operand-missing', 'no A', job({ operands: {} })],
  ['operand-unknown', 'an array that does not exist', job({ operands: { A: ABSENT } })],
  ['operand-unused', 'an operand that does not occur', job({ operands: { A, B: A } })],
  ['operand-value-needed', 'only the shape of A', job({ operands: { A: { shape: [1, 2] } } })],
  ['shape-mismatch', 'a direction of another shape', job({ direction: { data: [[1], [2], [3]] } })],
  [
    'columns-out-of-range',
    'a column too many',
    json('/v1/jobs', {
      operation: 'jacobian',
      operands: { A, W: { shape: [2, 1] } },
      jacobian: { columns: [0, 3] },
    }),
  ],
  [
    'job-too-large',
    'a Jacobian of an exabyte',
    json('/v1/jobs', { operation: 'jacobian', operands: { A, W: { shape: [2, 2 ** 31] } } }),
  ],
];

for (const [code, what, request] of CASES) {
  test(`${code}: ${what}, and nothing is left behind`, async () => {
    const filesBefore = await storedFiles();
    const response = await send(request);
    await assertProblem(response, code);
    if (code === 'range-not-satisfiable')
      assert.match(response.headers.get('content-range') ?? '', /^bytes \*\/\d+$/);
    assert.deepEqual(await storedFiles(), filesBefore);
  });
}

/** Sent over a bare socket, because no HTTP client sends them. */
const BARE: readonly (readonly [code: ErrorCode, what: string, text: string])[] = [
  ['http-syntax', 'bytes that are not HTTP', 'EHLO frechet\r\n\r\n'],
  [
    'http-syntax',
    'a path that does not decode',
    'GET /v1/jobs/%zz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
  ],
  [
    'expectation-failed',
    'an expectation nobody can meet',
    'GET /livez HTTP/1.1\r\nHost: x\r\nExpect: tea\r\nConnection: close\r\n\r\n',
  ],
];

for (const [code, what, text] of BARE) {
  test(`${code}: ${what}`, async () => {
    const answer = await exchange(Number(new URL(client.url).port), text);
    assert.match(answer, new RegExp(`^HTTP/1\\.1 ${ERRORS[code].status} `));
    assert.ok(answer.includes(`urn:frechet:problem:${code}`), answer);
  });
}

const ROUTES: Record<string, string> = {
  '/v1/arrays': 'GET, HEAD, POST',
  '/v1/arrays/{array}': 'DELETE, GET, HEAD',
  '/v1/arrays/{array}/data': 'GET, HEAD',
  '/v1/jobs': 'GET, HEAD, POST',
  '/v1/jobs/{succeeded}': 'DELETE, GET, HEAD',
  '/v1/jobs/{succeeded}/cancel': 'POST',
  '/v1/jobs/{succeeded}/events': 'GET, HEAD',
  '/v1/jobs/{succeeded}/result': 'GET, HEAD',
  '/v1/jobs/{succeeded}/result/blocks': 'GET, HEAD',
  '/v1/jobs/{succeeded}/result/blocks/0': 'GET, HEAD',
  '/v1/batches': 'POST',
  '/v1/batches/{batch}': 'GET, HEAD',
  '/v1/batches/{batch}/cancel': 'POST',
  '/v1/batches/{batch}/jobs': 'GET, HEAD',
  '/openapi.json': 'GET, HEAD',
  '/v1/plan': 'POST',
  '/v1/system': 'GET, HEAD',
  '/livez': 'GET, HEAD',
  '/readyz': 'GET, HEAD',
};

test('every route of the description of the API is in this table, with its methods', async () => {
  const response = await client.get('/openapi.json');
  const { paths } = (await response.json()) as { paths: Record<string, Record<string, unknown>> };
  const described = Object.entries(paths).map(([path, operations]) => {
    const methods = Object.keys(operations).map(method => method.toUpperCase());
    const all = methods.includes('GET') ? [...new Set([...methods, 'HEAD'])] : methods;
    return `${all.sort().join(', ')} ${path.replaceAll(/\{\w+\}/g, '{}')}`;
  });
  const tested = Object.entries(ROUTES).map(
    ([path, allowed]) => `${allowed} ${path.replaceAll(/\{\w+\}/g, '{}').replace('blocks/0', 'blocks/{}')}`,
  );
  assert.deepEqual(described.sort(), tested.sort());
});

for (const [path, allowed] of Object.entries(ROUTES)) {
  test(`method-not-allowed: ${path} allows ${allowed}`, async () => {
    const response = await send({ method: 'PATCH', path });
    await assertProblem(response, 'method-not-allowed');
    assert.equal(response.headers.get('allow')?.split(', ').sort().join(', '), allowed);
  });
}

for (const path of Object.keys(ROUTES).filter(
  key => ROUTES[key]?.includes('GET') && !key.endsWith('/events'),
)) {
  test(`HEAD ${path} answers as GET does, without the body`, async () => {
    const [get, head] = [await send({ path }), await send({ method: 'HEAD', path })];
    assert.equal(get.status, 200);
    assert.equal(head.status, 200);
    for (const name of ['content-type', 'content-length', 'etag']) {
      if (path === '/v1/system' && name !== 'content-type') continue; // it tells how long ago workers were seen
      assert.equal(head.headers.get(name), get.headers.get(name), name);
    }
    assert.equal(await head.text(), '');
    assert.notEqual(await get.text(), '');
  });
}

test('what is absent answers alike, whatever was asked for: the id is not repeated', async () => {
  const [array, other] = [
    await send({ path: '/v1/arrays/{none}' }),
    await send({ path: `/v1/arrays/${'1'.repeat(64)}` }),
  ];
  const strip = async (response: Response) => (await response.text()).replace(/"instance":"[^"]*"/, '');
  const text = await strip(array);
  assert.equal(await strip(other), text);
  assert.ok(!text.includes(ABSENT));
});

test('a job that ends in a failure carries its problem', async () => {
  const failed = await client.read(ids.failed ?? '');
  assert.equal(failed.state, 'failed');
  assert.equal(failed.error?.type, 'urn:frechet:problem:value-not-finite');
  assert.equal(failed.error?.status, 422);
  assert.equal(failed.result, null);
});

/** Codes that take time, a full disk, an outage or a fault of ours to be met; tests of their own parts meet them. */
const ELSEWHERE: readonly ErrorCode[] = [
  'unauthorized',
  'idempotency-in-progress',
  'idempotency-key-reused',
  'request-timeout',
  'array-in-use',
  'job-not-finished',
  'job-cancelled',
  'expired',
  'value-not-finite',
  'verification-failed',
  'block-poisoned',
  'operand-lost',
  'operand-corrupt',
  'result-corrupt',
  'too-many-requests',
  'system-busy',
  'unavailable',
  'store-full',
  'internal',
];

test('every code of the table is met here, or known to be met elsewhere', () => {
  const met = [...CASES, ...BARE].map(([code]) => code);
  const all = new Set<string>([...met, 'method-not-allowed', ...ELSEWHERE, ...AWAITED]);
  assert.deepEqual([...all].sort(), Object.keys(ERRORS).sort());
});
