import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { z } from 'zod';
import { gatewayRoutes } from '../../../api/app.ts';
import { COMMON_PROBLEMS, KEYED_PROBLEMS, OPERATION_TABLE } from '../../../api/openapi/operations.ts';
import { SCHEMAS, type SchemaName } from '../../../api/openapi/schemas.ts';
import { ERRORS, type ErrorCode } from '../../../shared/errors.ts';
import { startTestRedis, type TestRedis } from '../../support/redis.ts';
import { endJob, finishBlock, jobIn, specOf, startGateway, type TestGateway } from '../gateway.ts';

let redis: TestRedis;
let gateway: TestGateway;

before(async () => {
  redis = await startTestRedis();
  gateway = await startGateway(redis.url);
});
after(async () => {
  await gateway.close();
  await redis.stop();
});

interface Described {
  readonly operationId: string;
  readonly security?: unknown[];
  readonly parameters: { readonly name: string; readonly in: string }[];
  readonly responses: Record<string, { description: string; content?: Record<string, { schema?: object }> }>;
}

interface Document {
  readonly openapi: string;
  readonly paths: Record<string, Record<string, Described>>;
  readonly components: { readonly schemas: Record<string, object> };
}

async function document(): Promise<Document> {
  return (await (await fetch(`${gateway.url}/openapi.json`)).json()) as Document;
}

/** Pages for people are not part of the API. */
const isPage = (path: string) => path.startsWith('/docs');

test('every route is described, and nothing else', async () => {
  const { openapi, paths } = await document();
  assert.match(openapi, /^3\.1\.\d$/);
  const described = Object.entries(paths).flatMap(([path, methods]) =>
    Object.keys(methods).map(method => `${method.toUpperCase()} ${path}`),
  );
  const routes = gatewayRoutes(gateway.deps)
    .filter(({ path }) => !isPage(path))
    .map(({ method, path }) => `${method} ${path}`);
  assert.deepEqual(described.sort(), routes.sort());
  assert.deepEqual(Object.keys(OPERATION_TABLE).sort(), routes);
});

test('operations have names of their own, and name every parameter of their path', async () => {
  const names = new Set<string>();
  for (const [path, methods] of Object.entries((await document()).paths)) {
    for (const { operationId, parameters } of Object.values(methods)) {
      assert.ok(!names.has(operationId), operationId);
      names.add(operationId);
      const inPath = parameters.filter(parameter => parameter.in === 'path').map(({ name }) => name);
      assert.deepEqual(
        inPath,
        [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name),
      );
    }
  }
});

/** What only the error of a job tells, or a range that breaks off. */
const WITHIN_JOBS: readonly ErrorCode[] = [
  'value-not-finite',
  'verification-failed',
  'block-poisoned',
  'operand-lost',
];

test('every problem is described where it can be met', () => {
  const met = new Set([
    ...COMMON_PROBLEMS,
    ...KEYED_PROBLEMS,
    ...WITHIN_JOBS,
    ...Object.values(OPERATION_TABLE).flatMap(({ problems = [] }) => problems),
  ]);
  assert.deepEqual([...met].sort(), Object.keys(ERRORS).sort());
});

test('every reference leads to a schema, and every schema is referred to', async () => {
  const whole = await document();
  const names = [...JSON.stringify(whole).matchAll(/"\$ref":"([^"]*)"/g)].map(([, ref]) => ref!);
  const prefix = '#/components/schemas/';
  for (const ref of names) {
    assert.ok(ref.startsWith(prefix), ref);
    assert.ok(Object.hasOwn(whole.components.schemas, ref.slice(prefix.length)), ref);
  }
  const referred = new Set(names.map(ref => ref.slice(prefix.length)));
  assert.deepEqual([...referred].sort(), Object.keys(whole.components.schemas).sort());
});

test('unknown properties of a request are refused by the description, too', async () => {
  const { JobRequest } = (await document()).components.schemas as Record<string, Record<string, unknown>>;
  assert.equal(JobRequest?.additionalProperties, false);
  assert.deepEqual(JobRequest?.required, ['operation']);
});

/** Asks, and holds the answer to what the operation promises for its status and media type. */
async function exchange(operation: string, path: string, init: RequestInit = {}): Promise<Response> {
  const [method = ''] = operation.split(' ');
  const response = await fetch(`${gateway.url}${path}`, { ...init, method });
  const copy = response.clone();
  const [type = ''] = (response.headers.get('content-type') ?? '').split(';');
  const entry = OPERATION_TABLE[operation];
  assert.ok(entry !== undefined, operation);
  const text = await response.text();
  if (response.status >= 400) {
    assert.equal(type, 'application/problem+json');
    const problem = SCHEMAS.Problem.parse(JSON.parse(text));
    const code = problem.type.replace('urn:frechet:problem:', '') as ErrorCode;
    const codes = [...COMMON_PROBLEMS, ...KEYED_PROBLEMS, ...(entry.problems ?? [])];
    assert.ok(codes.includes(code), `${operation} does not describe ${code}`);
    return copy;
  }
  const answer = entry.answers[response.status];
  assert.ok(answer !== undefined, `${operation} does not describe ${response.status}`);
  if (answer.content === undefined) assert.equal(text, '');
  else conform(answer.content[type], `${operation} ${type}`, type, text);
  return copy;
}

function conform(schema: string | undefined, what: string, type: string, text: string): void {
  assert.ok(schema !== undefined, `${what} is not described`);
  if (schema === 'binary' || schema === 'text') return;
  const documents = type === 'application/x-ndjson' ? text.trimEnd().split('\n') : [text];
  for (const one of documents) (SCHEMAS[schema as SchemaName] as z.ZodType).parse(JSON.parse(one));
}

const sendJson = (body: unknown): RequestInit => ({
  headers: { 'Content-Type': 'application/json' },
  body: JSON.stringify(body),
});
const JOB = { operation: 'value', operands: { A: { data: [[1, 2]] }, W: { data: [[1], [2]] } } };

test('what is answered is what is described', async () => {
  const exchanged = new Set<string>();
  const ask = (operation: string, path: string, init?: RequestInit) => {
    exchanged.add(operation);
    return exchange(operation, path, init);
  };
  const uploaded = await ask('POST /v1/arrays', '/v1/arrays', sendJson([[1, 2]]));
  const { id: arrayId } = (await uploaded.json()) as { id: string };
  await ask('POST /v1/arrays', '/v1/arrays', sendJson([[1, 2]]));
  await ask('POST /v1/arrays', '/v1/arrays', sendJson([[1], [2, 3]]));
  await ask('GET /v1/arrays', '/v1/arrays');
  await ask('GET /v1/arrays', '/v1/arrays?limit=0');
  await ask('GET /v1/arrays/{arrayId}', `/v1/arrays/${arrayId}`);
  for (const type of ['application/x-npy', 'application/json', 'text/csv']) {
    await ask('GET /v1/arrays/{arrayId}/data', `/v1/arrays/${arrayId}/data`, { headers: { Accept: type } });
  }
  await ask('GET /v1/arrays/{arrayId}/data', `/v1/arrays/${arrayId}/data`, {
    headers: { Range: 'bytes=0-1' },
  });
  await ask('GET /v1/arrays/{arrayId}/data', `/v1/arrays/${arrayId}/data`, {
    headers: { Range: 'bytes=999-' },
  });
  const submitted = await ask('POST /v1/jobs', '/v1/jobs', sendJson({ ...JOB, labels: { a: 'b' } }));
  const { id } = await jobIn(submitted);
  await ask('POST /v1/jobs', '/v1/jobs', sendJson({ ...JOB, expression: 'A*' }));
  await ask('GET /v1/jobs/{jobId}/result', `/v1/jobs/${id}/result`);
  const spec = await specOf(gateway, id);
  await finishBlock(gateway, spec, 0);
  await ask('GET /v1/jobs/{jobId}/result/blocks', `/v1/jobs/${id}/result/blocks`);
  await ask('GET /v1/jobs/{jobId}/result/blocks/{index}', `/v1/jobs/${id}/result/blocks/0`);
  await endJob(gateway, spec);
  await ask('GET /v1/jobs/{jobId}', `/v1/jobs/${id}`);
  await ask('GET /v1/jobs/{jobId}/events', `/v1/jobs/${id}/events`);
  await ask('GET /v1/jobs', '/v1/jobs');
  const { id: cancelled } = await jobIn(await ask('POST /v1/jobs', '/v1/jobs', sendJson(JOB)));
  await ask('POST /v1/jobs/{jobId}/cancel', `/v1/jobs/${cancelled}/cancel`);
  await ask('POST /v1/jobs/{jobId}/cancel', `/v1/jobs/${id}/cancel`);
  await ask('GET /v1/jobs/{jobId}/result', `/v1/jobs/${cancelled}/result`);
  await ask('DELETE /v1/jobs/{jobId}', `/v1/jobs/${cancelled}`);
  await ask('DELETE /v1/arrays/{arrayId}', `/v1/arrays/${arrayId}`);
  for (const operation of ['jvp', 'vjp', 'jacobian', 'check'] as const) {
    await ask('POST /v1/plan', '/v1/plan', sendJson(planOf(operation)));
  }
  const batch = await ask('POST /v1/batches', '/v1/batches', {
    headers: { 'Content-Type': 'application/x-ndjson' },
    body: `${JSON.stringify({ ...JOB, customId: 'a' })}\njunk`,
  });
  const { id: batchId } = (await batch.json()) as { id: string };
  await ask('GET /v1/batches/{batchId}', `/v1/batches/${batchId}`);
  await ask('GET /v1/batches/{batchId}/jobs', `/v1/batches/${batchId}/jobs`);
  await ask('POST /v1/batches/{batchId}/cancel', `/v1/batches/${batchId}/cancel`);
  await ask('GET /v1/system', '/v1/system');
  for (const path of ['/livez', '/readyz', '/openapi.json']) await ask(`GET ${path}`, path);
  assert.deepEqual([...exchanged].sort(), Object.keys(OPERATION_TABLE).sort());
});

function planOf(operation: 'jvp' | 'vjp' | 'jacobian' | 'check') {
  const operands = { A: { data: [[1, 2]] }, W: { shape: [2, 1] } };
  if (operation === 'jvp') return { operation, operands, direction: { data: [[1], [2]] } };
  if (operation === 'vjp') return { operation, operands, cotangent: { data: [[1]] } };
  if (operation === 'jacobian') return { operation, operands };
  return { operation, operands: { ...operands, W: { data: [[1], [2]] } } };
}

test('the page for people loads from this host alone, and everything it names is there', async () => {
  const page = await fetch(`${gateway.url}/docs`);
  assert.match(page.headers.get('content-type') ?? '', /^text\/html/);
  const policy = page.headers.get('content-security-policy') ?? '';
  assert.match(policy, /default-src 'none'/);
  assert.doesNotMatch(policy, /https?:|\*|unsafe-eval|script-src[^;]*unsafe-inline/);
  const html = await page.text();
  const links = [...html.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, link]) => link!);
  assert.ok(links.length >= 3);
  for (const link of links.filter(one => !one.startsWith('data:'))) {
    const url = new URL(link, page.url);
    assert.equal(url.origin, gateway.url);
    const asset = await fetch(url);
    assert.equal(asset.status, 200, link);
    assert.ok((await asset.text()).length > 50);
  }
});
