import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, test } from 'node:test';
import type { PlanDocument } from '../../../api/jobs/preview.ts';
import type { ErrorCode } from '../../../shared/errors.ts';
import { encodeNpyHeader } from '../../../shared/io/npy.ts';
import { JSON_BODY_BYTES_MAX } from '../../../shared/job/limits.ts';
import { startTestRedis, type TestRedis } from '../../support/redis.ts';
import { jobIn, postJson, specOf, startGateway, type TestGateway } from '../gateway.ts';
import { assertProblem } from '../problem-assertions.ts';

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

const column = (...values: number[]) => ({ data: values.map(value => [value]) });
const A = { data: [[1, 2]] };
const H = column(1, 1);
const JVP = { operation: 'jvp', operands: { A }, direction: H };
const deep = (levels: number) => `${'('.repeat(levels)}W${')'.repeat(levels)}`;

interface Refusal {
  readonly body: unknown;
  readonly code: ErrorCode;
  readonly pointer?: string;
}

const REFUSALS: Record<string, Refusal> = {
  'a body cut short': { body: '{"operation":', code: 'json-syntax' },
  'no object': { body: [], code: 'schema', pointer: '' },
  'no operation': { body: {}, code: 'schema', pointer: '/operation' },
  'an operation nobody knows': { body: { operation: 'curl' }, code: 'schema', pointer: '/operation' },
  'an unknown property': { body: { ...JVP, prio: 1 }, code: 'schema', pointer: '/prio' },
  'a priority out of range': { body: { ...JVP, priority: 10 }, code: 'schema', pointer: '/priority' },
  'a priority outside float64': {
    body: '{"operation":"value","priority":1e999}',
    code: 'schema',
    pointer: '/priority',
  },
  'an expiry that is too short': { body: { ...JVP, expiresIn: 59 }, code: 'schema', pointer: '/expiresIn' },
  'an operand of no kind': {
    body: { ...JVP, operands: { A: 'abc' } },
    code: 'schema',
    pointer: '/operands/A',
  },
  'an operand that is no name': {
    body: { ...JVP, operands: { 'A/B': A } },
    code: 'schema',
    pointer: '/operands/A~1B',
  },
  'an operand named __proto__': {
    body: '{"operation":"value","operands":{"__proto__":{"data":1}}}',
    code: 'schema',
    pointer: '/operands/__proto__',
  },
  'a label named __proto__': {
    body: '{"operation":"value","labels":{"__proto__":"x"}}',
    code: 'schema',
    pointer: '/labels/__proto__',
  },
  'a property named __proto__': {
    body: '{"operation":"value","__proto__":{}}',
    code: 'schema',
    pointer: '/__proto__',
  },
  'too many labels': {
    body: { ...JVP, labels: Object.fromEntries(Array.from({ length: 17 }, (_, n) => [`l${n}`, ''])) },
    code: 'schema',
    pointer: '/labels',
  },
  'data outside float64': {
    body: '{"operation":"jvp","operands":{"A":{"data":[[1,1e999]]}},"direction":{"data":[[1],[1]]}}',
    code: 'schema',
    pointer: '/operands/A/data/0/1',
  },
  'ragged data': { body: { ...JVP, operands: { A: { data: [[1, 2], [3]] } } }, code: 'array-syntax' },
  'an expression that is none': { body: { ...JVP, expression: 'A**W' }, code: 'expression-syntax' },
  'an expression too deep': { body: { ...JVP, expression: deep(65) }, code: 'expression-too-large' },
  'an expression too long': {
    body: { ...JVP, expression: `W${' '.repeat(4096)}` },
    code: 'expression-too-large',
  },
  'a variable that does not occur': { body: { ...JVP, wrt: 'X' }, code: 'unknown-symbol' },
  'an operand that is missing': { body: { ...JVP, operands: {} }, code: 'operand-missing' },
  'an array that does not exist': {
    body: { ...JVP, operands: { A: '0'.repeat(64) } },
    code: 'operand-unknown',
    pointer: '/operands/A',
  },
  'a part without a multipart body': {
    body: { ...JVP, direction: { part: 'H' } },
    code: 'operand-unknown',
    pointer: '/direction',
  },
  'an operand that does not occur': {
    body: { ...JVP, operands: { A, B: A } },
    code: 'operand-unused',
    pointer: '/operands/B',
  },
  'shapes that do not fit': { body: { ...JVP, direction: column(1, 2, 3) }, code: 'shape-mismatch' },
  'a shape where a value is needed': {
    body: { ...JVP, operands: { A: { shape: [1, 2] } } },
    code: 'operand-value-needed',
    pointer: '/operands/A',
  },
  'columns outside the Jacobian': {
    body: {
      operation: 'jacobian',
      operands: { A, W: { shape: [2, 1] } },
      jacobian: { columns: [0, 3] },
    },
    code: 'columns-out-of-range',
  },
  'a job beyond the limits': {
    body: {
      operation: 'jacobian',
      operands: { A: { data: [[1, 2]] }, W: { shape: [2, 4_000_000_000] } },
    },
    code: 'job-too-large',
  },
};

for (const [name, { body, code, pointer }] of Object.entries(REFUSALS)) {
  test(`${code}: ${name}, for a job and for a plan, and nothing is left behind`, async () => {
    const filesBefore = await gateway.storedFiles();
    const load = await gateway.deps.live.load();
    for (const path of ['/v1/jobs', '/v1/plan']) {
      const problem = await assertProblem(await postJson(`${gateway.url}${path}`, body), code);
      if (pointer !== undefined) assert.equal(problem.errors?.[0]?.pointer, pointer);
    }
    assert.deepEqual(await gateway.storedFiles(), filesBefore);
    assert.deepEqual(await gateway.deps.live.load(), load);
  });
}

test('a fault of size says the limit and what was asked for', async () => {
  const { body } = REFUSALS['a job beyond the limits'] ?? {};
  const problem = await assertProblem(await postJson(`${gateway.url}/v1/jobs`, body), 'job-too-large');
  assert.ok(problem.limit !== undefined && problem.requested !== undefined);
});

test('a media type that is neither JSON nor multipart is refused, and so is a body too large', async () => {
  const post = (body: string, type: string) =>
    fetch(`${gateway.url}/v1/jobs`, { method: 'POST', headers: { 'Content-Type': type }, body });
  await assertProblem(await post('{}', 'text/plain'), 'media-type-unsupported');
  await assertProblem(await post(' '.repeat(JSON_BODY_BYTES_MAX + 1), 'application/json'), 'body-too-large');
});

const A_NPY = Buffer.concat([
  encodeNpyHeader({ shape: [1, 2], dtype: 'float64', order: 'F' }),
  Buffer.from(Float64Array.of(1, 2).buffer),
]);
const A_ID = createHash('sha256')
  .update('<f8 F 1,2\n')
  .update(Buffer.from(Float64Array.of(1, 2).buffer))
  .digest('hex');

/** A part with its own header lines. */
type Part = readonly [headers: string, body: string | Buffer];

function postParts(path: string, parts: readonly Part[]): Promise<Response> {
  const body = Buffer.concat([
    ...parts.flatMap(([headers, content]) => [
      Buffer.from(`--b\r\nContent-Disposition: form-data; ${headers}\r\n\r\n`),
      Buffer.from(content),
      Buffer.from('\r\n'),
    ]),
    Buffer.from('--b--\r\n'),
  ]);
  const headers = { 'Content-Type': 'multipart/form-data; boundary=b' };
  return fetch(`${gateway.url}${path}`, { method: 'POST', headers, body });
}

const job = (request: unknown): Part => [
  'name="job"\r\nContent-Type: application/json',
  JSON.stringify(request),
];
const PARTS_JVP = { operation: 'jvp', operands: { A: { part: 'A' } }, direction: { part: 'H' } };
const NPY_A: Part = ['name="A"; filename="a.npy"\r\nContent-Type: application/x-npy', A_NPY];
const CSV_H: Part = ['name="H"\r\nContent-Type: text/csv', '1\n1\n'];
const JSON_H: Part = ['name="H"\r\nContent-Type: application/json', '[[1],[1]]'];

const ACCEPTED: Record<string, readonly Part[]> = {
  'the job first': [job(PARTS_JVP), NPY_A, CSV_H],
  'the job last': [CSV_H, NPY_A, job(PARTS_JVP)],
  'the job untyped': [['name="job"', JSON.stringify(PARTS_JVP)], NPY_A, JSON_H],
  'an array untyped and without a file name': [job(PARTS_JVP), ['name="A"', A_NPY], JSON_H],
  'an array of no particular type': [
    job(PARTS_JVP),
    ['name="A"; filename="a"\r\nContent-Type: application/octet-stream', A_NPY],
    JSON_H,
  ],
};

for (const [name, parts] of Object.entries(ACCEPTED)) {
  test(`a multipart body is accepted with ${name}`, async () => {
    const response = await postParts('/v1/jobs', parts);
    const document = await jobIn(response);
    assert.equal(response.status, 202, JSON.stringify(document));
    const spec = await specOf(gateway, document.id);
    assert.deepEqual(spec.operands.A?.source, { array: A_ID, dtype: 'float64', order: 'F' });
    const source = spec.direction?.source;
    assert.ok(source !== undefined && 'array' in source);
    for (const id of [A_ID, source.array]) {
      assert.equal((await gateway.deps.arrays.get('default', id))?.id, id);
    }
  });
}

test('a plan takes a multipart body too, and keeps none of it', async () => {
  const filesBefore = await gateway.storedFiles();
  const request = { ...PARTS_JVP, operands: { A: { part: 'B' } }, direction: { part: 'G' } };
  const parts: Part[] = [job(request), ['name="B"', A_NPY], ['name="G"\r\nContent-Type: text/csv', '3\n4\n']];
  const response = await postParts('/v1/plan', parts);
  assert.equal(response.status, 200, await response.clone().text());
  const plan = (await response.json()) as PlanDocument;
  assert.deepEqual(plan.shapes, { A: [1, 2], W: [2, 1], F: [1, 1] });
  assert.deepEqual(await gateway.storedFiles(), filesBefore);
});

const BAD_NPY: Part = ['name="A"', '\x93NUMPX'];
const NEW_H: Part = ['name="H"\r\nContent-Type: text/csv', '123.25\n5\n'];
const PART_REFUSALS: Record<string, { parts: readonly Part[]; code: ErrorCode }> = {
  'no job': { parts: [NPY_A, NEW_H], code: 'multipart-syntax' },
  'two jobs': { parts: [job(PARTS_JVP), job(PARTS_JVP), NEW_H], code: 'multipart-syntax' },
  'two parts of one name': { parts: [job(PARTS_JVP), NEW_H, NEW_H], code: 'multipart-syntax' },
  'a job of another type': {
    parts: [NEW_H, ['name="job"\r\nContent-Type: text/csv', '1']],
    code: 'media-type-unsupported',
  },
  'a job that is no JSON': { parts: [NEW_H, ['name="job"', '{']], code: 'json-syntax' },
  'an array of another type': {
    parts: [NEW_H, job(PARTS_JVP), ['name="A"\r\nContent-Type: image/png', 'x']],
    code: 'media-type-unsupported',
  },
  'an array that is none': { parts: [NEW_H, job(PARTS_JVP), BAD_NPY], code: 'npy-bad-magic' },
  'an array cut short': {
    parts: [NEW_H, job(PARTS_JVP), ['name="A"', A_NPY.subarray(0, -1)]],
    code: 'npy-truncated',
  },
  'an array that goes on': {
    parts: [NEW_H, job(PARTS_JVP), ['name="A"', Buffer.concat([A_NPY, Buffer.from('!')])]],
    code: 'npy-trailing-data',
  },
  'a part that is missing': { parts: [NEW_H, job(PARTS_JVP)], code: 'operand-unknown' },
  'a part nobody refers to': {
    parts: [NEW_H, NPY_A, ['name="B"', A_NPY], job(PARTS_JVP)],
    code: 'operand-unused',
  },
  'shapes that do not fit': {
    parts: [job(PARTS_JVP), NPY_A, ['name="H"\r\nContent-Type: text/csv', '1\n2\n3\n']],
    code: 'shape-mismatch',
  },
  'too many parts': {
    parts: [
      job(PARTS_JVP),
      ...Array.from({ length: 65 }, (_, n): Part => [`name="P${n}"\r\nContent-Type: text/csv`, `${n}.5\n`]),
    ],
    code: 'multipart-syntax',
  },
};

for (const [name, { parts, code }] of Object.entries(PART_REFUSALS)) {
  test(`${code}: a multipart body with ${name} leaves nothing behind`, async () => {
    const filesBefore = await gateway.storedFiles();
    for (const path of ['/v1/jobs', '/v1/plan']) await assertProblem(await postParts(path, parts), code);
    assert.deepEqual(await gateway.storedFiles(), filesBefore);
  });
}

test('a multipart body without a boundary is refused', async () => {
  const headers = { 'Content-Type': 'multipart/form-data' };
  const response = await fetch(`${gateway.url}/v1/jobs`, { method: 'POST', headers, body: 'x' });
  await assertProblem(response, 'multipart-syntax');
});
