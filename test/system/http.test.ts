// HTTP over real jobs and arrays: ranges, validators, preferences, forms, listings, deletion.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { assertProblem } from '../api/problem-assertions.ts';
import { type Client, createClient, inline, type JobDocument } from '../support/client.ts';
import { integers, product } from '../support/integers.ts';
import { decodeNpy, matrixNpy } from '../support/npy.ts';
import { type Stack, startStack } from '../support/processes.ts';
import { assertResult } from '../support/result-assertions.ts';

const A = integers(9, 5, 1);
const H = integers(5, 4, 2);
const JVP = { operation: 'jvp', operands: { A: inline(A) }, direction: inline(H) };

let stack: Stack;
let client: Client;
/** The same bytes to ask for in the same ways: a result, one of its blocks, an array. */
let targets: { path: string; tag: string; whole: Buffer }[];
before(async () => {
  stack = await startStack({ env: { FRECHET_MEMORY_BYTES: '256MiB', FRECHET_THREADS: '1' } });
  client = createClient(stack.url);
  const job = await client.compute(JVP);
  const array = await client.upload(matrixNpy(A));
  const paths = [
    `/v1/jobs/${job.id}/result`,
    `/v1/jobs/${job.id}/result/blocks/0`,
    `/v1/arrays/${array}/data`,
  ];
  targets = await Promise.all(
    paths.map(async path => {
      const response = await client.get(path);
      const whole = Buffer.from(await response.arrayBuffer());
      return { path, tag: response.headers.get('etag') ?? '', whole };
    }),
  );
  assert.equal(targets[0]?.tag, `"${job.result?.digest}"`);
  assert.equal(targets[2]?.tag, `"${array}"`);
});
after(() => stack.stop());

/** Positions from the end are negative, as in Array.slice. */
const RANGES: readonly (readonly [header: string, start: number, stop: number | undefined])[] = [
  ['bytes=0-0', 0, 1],
  ['bytes=0-9', 0, 10],
  ['bytes=100-199', 100, 200],
  ['bytes=130-', 130, undefined],
  ['bytes=-8', -8, undefined],
  ['bytes=-100000', 0, undefined],
  ['bytes=120-100000', 120, undefined],
];

test('a range is that piece of the whole, and says so', async () => {
  for (const { path, tag, whole } of targets) {
    for (const [header, start, stop] of RANGES) {
      const response = await client.get(path, { Range: header });
      assert.equal(response.status, 206, `${path} ${header}`);
      const expected = whole.subarray(start, stop);
      const first = expected.byteOffset - whole.byteOffset;
      const place = `bytes ${first}-${first + expected.length - 1}/${whole.length}`;
      assert.equal(response.headers.get('content-range'), place);
      assert.equal(response.headers.get('etag'), tag);
      assert.ok(Buffer.from(await response.arrayBuffer()).equals(expected), `${path} ${header}`);
    }
  }
});

test('several ranges, malformed ones and those tied to other bytes get the whole', async () => {
  const requests: Record<string, string>[] = [
    { Range: 'bytes=0-1,5-6' },
    { Range: 'bytes=9-2' },
    { Range: 'lines=1-2' },
    { Range: 'bytes=0-9', 'If-Range': '"other"' },
  ];
  for (const { path, whole } of targets) {
    for (const headers of requests) {
      const response = await client.get(path, headers);
      assert.equal(response.status, 200, JSON.stringify(headers));
      assert.ok(Buffer.from(await response.arrayBuffer()).equals(whole));
    }
  }
});

test('a range tied to the bytes that are there is answered', async () => {
  for (const { path, tag } of targets) {
    const response = await client.get(path, { Range: 'bytes=0-9', 'If-Range': tag });
    assert.equal(response.status, 206);
    assert.equal((await response.arrayBuffer()).byteLength, 10);
  }
});

test('what the client has already is not sent again; each representation has a tag of its own', async () => {
  for (const { path, tag } of targets) {
    const tags = [tag];
    for (const type of ['application/json', 'text/csv']) {
      const response = await client.get(path, { Accept: type });
      assert.equal(response.headers.get('content-type')?.split(';')[0], type);
      assert.match(response.headers.get('vary') ?? '', /\bAccept\b/i);
      await response.text();
      tags.push(response.headers.get('etag') ?? '');
    }
    assert.equal(new Set(tags).size, 3);
    for (const value of [tag, '*', `"x", ${tag}`]) {
      const response = await client.get(path, { 'If-None-Match': value });
      assert.equal(response.status, 304);
      assert.equal(response.headers.get('etag'), tag);
    }
    assert.equal((await client.get(path, { 'If-None-Match': tags[1] ?? '' })).status, 200);
    assert.equal(
      (await client.get(path, { Accept: 'application/json', 'If-None-Match': tags[1] ?? '' })).status,
      304,
    );
  }
});

test('Prefer: wait answers 200 with the end; without it, or malformed, 202 with the beginning', async () => {
  const submit = (prefer: Record<string, string>) =>
    client.post('/v1/jobs', JSON.stringify(JVP), { 'Content-Type': 'application/json', ...prefer });
  const seen = await submit({ Prefer: 'wait=30' });
  assert.equal(seen.status, 200);
  assert.equal(seen.headers.get('preference-applied'), 'wait=30');
  const job = (await seen.json()) as JobDocument;
  assert.equal(seen.headers.get('location'), `/v1/jobs/${job.id}`);
  assert.equal(job.state, 'succeeded');
  assert.equal(
    (await submit({ Prefer: 'respond-async, wait=3600' })).headers.get('preference-applied'),
    'wait=60',
  );
  for (const prefer of [{}, { Prefer: 'wait=soon' }, { Prefer: 'wait=-1' }, { Prefer: 'wait' }]) {
    const response = await submit(prefer as Record<string, string>);
    assert.equal(response.status, 202, JSON.stringify(prefer));
    assert.equal(response.headers.get('preference-applied'), null);
  }
});

test('a form with its arrays in any order is a job, and computes', async () => {
  const job = { operation: 'jvp', operands: { A: { part: 'left' } }, direction: { part: 'right' } };
  const parts: readonly (readonly [string, Blob])[] = [
    ['job', new Blob([JSON.stringify(job)], { type: 'application/json' })],
    ['left', new Blob([matrixNpy(A, { order: 'F' })], { type: 'application/x-npy' })],
    ['right', new Blob([JSON.stringify(inline(H).data)], { type: 'application/json' })],
  ];
  for (const order of [
    [0, 1, 2],
    [2, 1, 0],
    [1, 0, 2],
  ]) {
    const form = new FormData();
    for (const position of order) {
      const [name, blob] = parts[position] ?? ['', new Blob([])];
      form.append(name, blob);
    }
    const response = await client.post('/v1/jobs', form, { Prefer: 'wait=30' });
    const document = (await response.json()) as JobDocument;
    assert.equal(document.state, 'succeeded', JSON.stringify(document));
    await assertResult(client, document.id, product(A, H));
  }
});

test('arrays come back as they went, in every representation, and a second upload is 200', async () => {
  const values = [
    [1, -0.5],
    [Number.NaN, Number.POSITIVE_INFINITY],
  ];
  const text = '{"data": [[1, -0.5], ["NaN", "Infinity"]], "dtype": "float32"}';
  const upload = () => client.post('/v1/arrays', text, { 'Content-Type': 'application/json' });
  const [first, second] = [await upload(), await upload()];
  assert.deepEqual([first.status, second.status], [201, 200]);
  const { id, shape, dtype, bytes } = (await first.json()) as Record<string, unknown>;
  assert.deepEqual([shape, dtype, bytes], [[2, 2], 'float32', 16]);
  const npy = decodeNpy(new Uint8Array(await (await client.get(`/v1/arrays/${id}/data`)).arrayBuffer()));
  assert.deepEqual(npy.values, values.flat());
  const json = await client.get(`/v1/arrays/${id}/data`, { Accept: 'application/json' });
  assert.deepEqual(await json.json(), [
    [1, -0.5],
    ['NaN', 'Infinity'],
  ]);
  const csv = await (await client.get(`/v1/arrays/${id}/data`, { Accept: 'text/csv' })).text();
  const again = await client.post('/v1/arrays', csv, { 'Content-Type': 'text/csv' });
  const wide = (await again.json()) as { id: string };
  const read = await client.get(`/v1/arrays/${wide.id}/data`);
  assert.deepEqual(decodeNpy(new Uint8Array(await read.arrayBuffer())).values, values.flat());
});

interface Page {
  readonly data: readonly JobDocument[];
  readonly nextCursor: string | null;
}

/** The ids on all pages of a listing, and how many pages there were. */
async function listAll(query: string): Promise<{ ids: string[]; pages: number }> {
  const ids: string[] = [];
  let cursor: string | null = '';
  let pages = 0;
  while (cursor !== null) {
    const response = await client.get(`/v1/jobs?limit=2&${query}${cursor && `&cursor=${cursor}`}`);
    const page = (await response.json()) as Page;
    assert.ok(page.data.length <= 2);
    ids.push(...page.data.map(job => job.id));
    cursor = page.nextCursor;
    pages += 1;
  }
  return { ids, pages };
}

test('jobs are listed newest first, by label and state, page by page', async () => {
  const submitted: string[] = [];
  for (let run = 0; run < 5; run += 1) {
    const labels = { run: String(run % 2), suite: 'listing' };
    submitted.unshift((await client.compute({ ...JVP, labels })).id);
  }
  const all = await listAll('label=suite:listing');
  assert.deepEqual(all.ids, submitted);
  assert.ok(all.pages >= 3);
  const odd = submitted.filter((_, position) => position % 2 === 1);
  assert.deepEqual((await listAll('label=run:1')).ids, odd);
  assert.deepEqual((await listAll('label=suite:listing&state=succeeded')).ids, submitted);
  for (const state of ['queued', 'running', 'failed', 'cancelled']) {
    assert.deepEqual((await listAll(`label=suite:listing&state=${state}`)).ids, [], state);
  }
  assert.deepEqual((await listAll('label=suite:other')).ids, []);
});

test('a deleted job and its result are gone, and only they', async () => {
  const [gone, kept] = [await client.compute(JVP), await client.compute(JVP)];
  const remove = () => fetch(`${client.url}/v1/jobs/${gone.id}`, { method: 'DELETE' });
  assert.equal((await remove()).status, 204);
  for (const path of ['', '/result', '/result/blocks', '/events']) {
    await assertProblem(await client.get(`/v1/jobs/${gone.id}${path}`), 'not-found');
  }
  await assertProblem(await remove(), 'not-found');
  await assertResult(client, kept.id, product(A, H));
});

test('a plan says what the job then is', async () => {
  const response = await client.post('/v1/plan', JSON.stringify(JVP), { 'Content-Type': 'application/json' });
  const plan = (await response.json()) as Record<string, unknown> & { result: object };
  const { result, progress, derivative } = await client.compute(JVP);
  assert.deepEqual(plan.derivative, derivative);
  assert.equal(plan.blocks, progress.blocksTotal);
  assert.equal(plan.flops, progress.flopsTotal);
  const { shape, dtype, order, bytes } = result ?? {};
  assert.deepEqual(plan.result, { shape, dtype, order, bytes });
});
