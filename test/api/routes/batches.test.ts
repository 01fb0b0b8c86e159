import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import type { BatchDocument, LineDocument } from '../../../api/batches/read.ts';
import { arrayInUse } from '../../../api/jobs/array-use.ts';
import { FrechetError } from '../../../shared/errors.ts';
import { batchIdOf, lineIndexOf, lineJobId } from '../../../shared/io/batch-ids.ts';
import { BatchWriter } from '../../../shared/io/batch-store.ts';
import { claimName } from '../../../shared/io/claims.ts';
import { reconcile } from '../../../shared/io/reconciler.ts';
import { BATCH_LINES_MAX } from '../../../shared/job/limits.ts';
import { startTestRedis, type TestRedis } from '../../support/redis.ts';
import { longestTurn } from '../../support/turns.ts';
import { endJob, finishBlock, jobIn, postJson, specOf, startGateway, type TestGateway } from '../gateway.ts';
import { assertProblem } from '../problem-assertions.ts';

let redis: TestRedis;
let gateway: TestGateway;

beforeEach(async () => {
  redis = await startTestRedis();
  gateway = await startGateway(redis.url);
});
afterEach(async () => {
  await gateway.close();
  await redis.stop();
});

/** 1×2 by 2×1: four flops, one block of eight bytes. */
const JOB = { operation: 'value', operands: { A: { data: [[1, 2]] }, W: { data: [[1], [2]] } } };

const send = (lines: readonly unknown[], headers: Record<string, string> = {}) =>
  fetch(`${gateway.url}/v1/batches`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/x-ndjson', ...headers },
    body: lines.map(line => (typeof line === 'string' ? line : JSON.stringify(line))).join('\n'),
  });

async function accepted(lines: readonly unknown[], headers?: Record<string, string>): Promise<BatchDocument> {
  const response = await send(lines, headers);
  const batch = (await response.json()) as BatchDocument;
  assert.equal(response.status, 202, JSON.stringify(batch));
  assert.equal(response.headers.get('location'), batch.links.self);
  return batch;
}

const get = (path: string) => fetch(`${gateway.url}${path}`);
const read = async (batch: BatchDocument) => (await (await get(batch.links.self)).json()) as BatchDocument;

async function linesOf(batch: BatchDocument): Promise<LineDocument[]> {
  const response = await get(batch.links.jobs);
  assert.equal(response.headers.get('content-type'), 'application/x-ndjson');
  const text = await response.text();
  assert.ok(text.endsWith('\n'));
  return text
    .slice(0, -1)
    .split('\n')
    .map(line => JSON.parse(line) as LineDocument);
}

const counts = (some: Partial<BatchDocument['counts']>) => ({
  queued: 0,
  running: 0,
  succeeded: 0,
  failed: 0,
  cancelled: 0,
  rejected: 0,
  ...some,
});

async function endLine(batch: BatchDocument, index: number): Promise<void> {
  const spec = await specOf(gateway, lineJobId(batch.id, index));
  await finishBlock(gateway, spec, 0);
  await endJob(gateway, spec);
}

test('a line’s number is in its job’s id, up to the last line', () => {
  const id = '01JE5WVJ2S8QK7A6TDXYZM0000';
  for (const index of [1, 31, 32, 1023, 1024, BATCH_LINES_MAX]) {
    const jobId = lineJobId(id, index);
    assert.match(jobId, /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/);
    assert.equal(lineIndexOf(jobId), index);
    assert.equal(batchIdOf(jobId), id);
    assert.ok(jobId > lineJobId(id, index - 1), 'ids sort as lines do');
  }
});

test('every line is a job; bad ones are rejected alone, in their place', async () => {
  const batch = await accepted([
    { ...JOB, customId: 'first' },
    '',
    '{"operation": ',
    { ...JOB, expression: 'A*' },
    '   ',
    { ...JOB, customId: 'x'.repeat(129) },
    '[]',
    { ...JOB, operands: {} },
    { ...JOB, customId: 'last', labels: { run: '1' } },
  ]);
  assert.equal(batch.total, 7);
  assert.deepEqual(batch.counts, counts({ queued: 2, rejected: 5 }));
  const lines = await linesOf(batch);
  assert.deepEqual(
    lines.map(({ customId, line, job, error }) => [customId, line, job?.state ?? error?.type]),
    [
      ['first', 1, 'queued'],
      [null, 3, 'urn:frechet:problem:json-syntax'],
      [null, 4, 'urn:frechet:problem:expression-syntax'],
      [null, 6, 'urn:frechet:problem:schema'],
      [null, 7, 'urn:frechet:problem:schema'],
      [null, 8, 'urn:frechet:problem:operand-missing'],
      ['last', 9, 'queued'],
    ],
  );
  assert.deepEqual(await read(batch), batch);
});

test('a batch is one durable object and one marker, whatever the number of its lines', async () => {
  const before = await gateway.storedFiles();
  const { id } = await accepted(Array(200).fill(JOB));
  const files = (await gateway.storedFiles()).filter(file => !before.includes(file));
  assert.deepEqual(files, [
    `objects/open-batches/default/${id}`,
    `objects/tenants/default/batches/${id.slice(0, 6)}/${id}/lines`,
  ]);
});

test('a job of a batch is a job like any other', async () => {
  const batch = await accepted([JOB, 'junk', { ...JOB, priority: 3 }]);
  const id = lineJobId(batch.id, 3);
  const job = await jobIn(await get(`/v1/jobs/${id}`));
  assert.deepEqual([job.id, job.state, job.priority, job.createdAt], [id, 'queued', 3, batch.createdAt]);
  await assertProblem(await get(`/v1/jobs/${lineJobId(batch.id, 2)}`), 'not-found');
  await assertProblem(await get(`/v1/jobs/${lineJobId(batch.id, 4)}`), 'not-found');
  await assertProblem(await get(`/v1/jobs/${batch.id}`), 'not-found');
  await endLine(batch, 3);
  assert.equal((await jobIn(await get(`/v1/jobs/${id}`))).state, 'succeeded');
  await assertProblem(
    await fetch(`${gateway.url}/v1/jobs/${lineJobId(batch.id, 1)}`, { method: 'DELETE' }),
    'job-not-finished',
  );
  assert.equal((await fetch(`${gateway.url}/v1/jobs/${id}`, { method: 'DELETE' })).status, 204);
  await assertProblem(await get(`/v1/jobs/${id}`), 'not-found');
  await assertProblem(await fetch(`${gateway.url}/v1/jobs/${id}`, { method: 'DELETE' }), 'not-found');
  assert.deepEqual((await read(batch)).counts, counts({ queued: 1, succeeded: 1, rejected: 1 }));
  const [, , deleted] = await linesOf(batch);
  assert.equal(deleted?.error?.type, 'urn:frechet:problem:not-found');
});

test('jobs of batches are listed among the others, newest first, page by page', async () => {
  const one = await jobIn(
    await fetch(`${gateway.url}/v1/jobs`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify(JOB),
    }),
  );
  gateway.time.offsetMs += 1_000;
  const batch = await accepted([JOB, 'junk', JOB, JOB]);
  await endLine(batch, 3);
  const expected = [4, 3, 1].map(index => lineJobId(batch.id, index)).concat(one.id);
  const page = async (query: string) =>
    (await (await get(`/v1/jobs?${query}`)).json()) as { data: { id: string }[]; nextCursor: string | null };
  const ids = async (query: string) => (await page(query)).data.map(job => job.id);
  assert.deepEqual(await ids('limit=50'), expected);
  const first = await page('limit=2');
  assert.deepEqual(
    first.data.map(job => job.id),
    expected.slice(0, 2),
  );
  assert.deepEqual(await ids(`limit=50&cursor=${first.nextCursor}`), expected.slice(2));
  assert.deepEqual(
    await ids('state=queued'),
    expected.filter(id => id !== expected[1]),
  );
  assert.deepEqual(await ids('state=succeeded'), [expected[1]]);
});

test('an array is in use while a line that reads it has not ended, whatever the others do', async () => {
  const upload = async (data: unknown) =>
    ((await (await postJson(`${gateway.url}/v1/arrays`, data)).json()) as { id: string }).id;
  const [first, second] = [await upload([[41, 1]]), await upload([[42, 1]])];
  const using = (array: string) => ({ ...JOB, operands: { ...JOB.operands, A: array } });
  const batch = await accepted(['junk', using(first), using(second)]);
  const uses = () => Promise.all([first, second].map(id => arrayInUse(gateway.deps, 'default', id)));
  assert.deepEqual(await uses(), [true, true]);
  await endLine(batch, 2);
  assert.deepEqual(await uses(), [false, true]);
  await endLine(batch, 3);
  assert.deepEqual(await uses(), [false, false], 'the marker of the batch is still there');
});

test('counts follow the jobs, and the end is remembered', async () => {
  const batch = await accepted([JOB, JOB, JOB, 'junk']);
  const begin = async (line: number) =>
    gateway.deps.live.noteStarted(lineJobId(batch.id, line), gateway.deps.clock());
  await begin(1);
  assert.deepEqual((await read(batch)).counts, counts({ queued: 2, running: 1, rejected: 1 }));
  await begin(2);
  await endLine(batch, 1);
  assert.deepEqual((await read(batch)).counts, counts({ queued: 1, running: 1, succeeded: 1, rejected: 1 }));
  assert.equal((await read(batch)).finishedAt, null);
  await endLine(batch, 2);
  const cancelled = `${gateway.url}/v1/jobs/${lineJobId(batch.id, 3)}/cancel`;
  assert.equal((await fetch(cancelled, { method: 'POST' })).status, 200);
  const end = await read(batch);
  assert.deepEqual(end.counts, counts({ succeeded: 2, cancelled: 1, rejected: 1 }));
  assert.ok(end.finishedAt !== null);
  await reconcile(gateway.deps);
  assert.deepEqual(await gateway.deps.openJobs.batches('default'), []);
  assert.deepEqual(await read(batch), end);
  assert.deepEqual(
    (await linesOf(batch)).map(line => line.job?.state),
    ['succeeded', 'succeeded', 'cancelled', undefined],
  );
});

test('cancelling a batch ends what has not ended, and may be repeated', async () => {
  const batch = await accepted([...Array(60).fill(JOB), 'junk']);
  await endLine(batch, 7);
  const cancel = async () => {
    const response = await fetch(`${gateway.url}${batch.links.cancel}`, { method: 'POST' });
    assert.equal(response.status, 200);
    return (await response.json()) as BatchDocument;
  };
  const end = await cancel();
  assert.deepEqual(end.counts, counts({ succeeded: 1, cancelled: 59, rejected: 1 }));
  assert.ok(end.finishedAt !== null);
  assert.deepEqual(await cancel(), end);
  assert.deepEqual(await gateway.deps.live.load(), { queued: 0, running: 0, backlogFlops: 0 });
});

const knowsSlice = (batch: BatchDocument, slice: number) =>
  gateway.deps.queue.knowsSlice({ tenant: 'default', batchId: batch.id, slice });

test('every job has its place in the backlog, its slice one in the queue, and none is counted twice', async () => {
  const batch = await accepted([...Array(700).fill(JOB), 'junk']);
  const deadline = Date.now() + 20_000;
  while (!(await knowsSlice(batch, 10)) && Date.now() < deadline) {
    await new Promise(resolve => setTimeout(resolve, 20));
  }
  for (let tries = 0; tries < 100 && (await gateway.deps.live.load()).queued !== 700; tries++) {
    await new Promise(resolve => setTimeout(resolve, 20));
  }
  assert.deepEqual(await gateway.deps.live.load(), { queued: 700, running: 0, backlogFlops: 2800 });
  assert.equal(await knowsSlice(batch, 0), true);
  assert.equal(await knowsSlice(batch, 11), false, '701 lines are eleven slices');
  assert.equal(await gateway.deps.queue.knows(await specOf(gateway, lineJobId(batch.id, 1)), 1), false);
});

test('jobs of several blocks are enqueued as flows', async () => {
  const stack = { operation: 'jvp', operands: { A: { shape: [1, 1] } } };
  const batch = await accepted([
    { ...stack, operands: { A: { data: [[1]] } }, direction: { data: [[[1]], [[2]]] } },
  ]);
  const spec = await specOf(gateway, lineJobId(batch.id, 1));
  assert.equal(spec.direction?.members, 2);
  assert.equal(await knowsSlice(batch, 0), true);
  await gateway.deps.queue.enqueueAll([{ ...spec, id: lineJobId(batch.id, 2), blocksTotal: 3 }]);
  assert.equal(await gateway.deps.queue.knows({ ...spec, id: lineJobId(batch.id, 2) }, 3), true);
});

test('a batch survives the loss of everything in Redis', async () => {
  const batch = await accepted(Array(30).fill(JOB));
  await endLine(batch, 4);
  await gateway.deps.redisCall('FLUSHALL');
  gateway.time.offsetMs += 60_000;
  assert.equal((await reconcile(gateway.deps)).enqueued, 29);
  assert.deepEqual(await gateway.deps.live.load(), { queued: 29, running: 0, backlogFlops: 116 });
  assert.equal((await reconcile(gateway.deps)).enqueued, 0);
  assert.equal(await gateway.deps.queue.knows(await specOf(gateway, lineJobId(batch.id, 30)), 1), true);
});

test('an array that an open batch needs cannot be deleted', async () => {
  const upload = await fetch(`${gateway.url}/v1/arrays`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: '[[1,2]]',
  });
  const { id } = (await upload.json()) as { id: string };
  const batch = await accepted([JOB, { ...JOB, operands: { ...JOB.operands, A: id } }]);
  const remove = () => fetch(`${gateway.url}/v1/arrays/${id}`, { method: 'DELETE' });
  await assertProblem(await remove(), 'array-in-use');
  await fetch(`${gateway.url}${batch.links.cancel}`, { method: 'POST' });
  await reconcile(gateway.deps);
  assert.equal((await remove()).status, 204);
});

test('inline data beyond what a single job embeds stay with their line', async () => {
  const row = Array.from({ length: 20_000 }, (_, index) => index % 10);
  const wide = { operation: 'jvp', operands: { A: { data: [[2]] } }, direction: { data: [row] } };
  const before = await gateway.storedFiles();
  const batch = await accepted([wide]);
  assert.equal((await gateway.storedFiles()).length, before.length + 2);
  const { direction } = await specOf(gateway, lineJobId(batch.id, 1));
  assert.ok(direction?.source !== undefined && 'inline' in direction.source);
});

test('a line that is too long is rejected alone, and costs no memory', async () => {
  const long = `{"operation":"value","labels":{"x":"${'y'.repeat(3 * 1024 * 1024)}"}}`;
  const batch = await accepted([JOB, long, JOB]);
  assert.deepEqual(batch.counts, counts({ queued: 2, rejected: 1 }));
  assert.equal((await linesOf(batch))[1]?.error?.type, 'urn:frechet:problem:body-too-large');
});

test('a batch where all lines are bad has ended', async () => {
  const batch = await accepted(['junk', 'junk']);
  assert.deepEqual(batch.counts, counts({ rejected: 2 }));
  assert.ok(batch.finishedAt !== null);
});

test('what is refused as a whole leaves nothing behind', async () => {
  const before = await gateway.storedFiles();
  await assertProblem(await send([]), 'schema');
  await assertProblem(await send(['', '  ', '']), 'schema');
  await assertProblem(await send([JOB], { 'Content-Type': 'application/json' }), 'media-type-unsupported');
  await assertProblem(await send(Array(BATCH_LINES_MAX + 1).fill('x')), 'body-too-large');
  await assertProblem(await send([JOB], { 'Idempotency-Key': '' }), 'http-syntax');
  assert.deepEqual(await gateway.storedFiles(), before);
  assert.deepEqual(await gateway.deps.live.load(), { queued: 0, running: 0, backlogFlops: 0 });
});

test('a batch is admitted whole or not at all', async () => {
  const { deps } = gateway;
  const limits = {
    tenantJobsMax: 99_999,
    tenantFlopsMax: undefined,
    systemFlopsMax: 10n ** 18n,
    storeBytesMax: undefined,
  };
  const big = { tenant: 'default', id: '01JE5WVJ2S8QK7A6TDXYZM0000', jobs: 99_999, flops: 1n, bytes: 0 };
  assert.equal(await deps.live.admit(big, limits), undefined);
  const before = await gateway.storedFiles();
  const { limit, requested } = await assertProblem(await send([JOB, JOB]), 'too-many-requests');
  assert.deepEqual([limit, requested], [100_000, 100_001]);
  assert.deepEqual(await gateway.storedFiles(), before);
  await accepted([JOB]);
});

test('an idempotency key works for batches, and is not a job’s', async () => {
  const headers = { 'Idempotency-Key': 'k' };
  const batch = await accepted([JOB, JOB], headers);
  const again = await send([JOB, JOB], headers);
  assert.equal(again.status, 202);
  assert.equal(again.headers.get('idempotent-replayed'), 'true');
  assert.equal(((await again.json()) as BatchDocument).id, batch.id);
  await assertProblem(await send([JOB], headers), 'idempotency-key-reused');
  const job = await fetch(`${gateway.url}/v1/jobs`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', ...headers },
    body: JSON.stringify(JOB),
  });
  await assertProblem(job, 'idempotency-key-reused');
  assert.deepEqual((await gateway.deps.live.load()).queued, 2);
});

test('after a failure of the store a batch may be sent again at once, under its key', async context => {
  const headers = { 'Idempotency-Key': 'outage' };
  const outage = new FrechetError('unavailable', 'the store does not answer');
  context.mock.method(BatchWriter.prototype, 'commit', () => Promise.reject(outage), { times: 1 });
  await assertProblem(await send([JOB, JOB], headers), 'unavailable');
  const claim = await gateway.deps.claims.read('default', claimName('outage'));
  assert.equal((await accepted([JOB, JOB], headers)).id, claim?.id);
});

test('an unknown batch is not found, whatever its id looks like', async () => {
  for (const id of [
    '01JE5WVJ2S8QK7A6TDXYZM0000',
    '01JE5WVJ2S8QK7A6TDXYZM0001',
    '..%2f..',
    'x',
    'x'.repeat(300),
  ]) {
    for (const [method, path] of [
      ['GET', ''],
      ['GET', '/jobs'],
      ['POST', '/cancel'],
    ] as const) {
      await assertProblem(await fetch(`${gateway.url}/v1/batches/${id}${path}`, { method }), 'not-found');
    }
  }
});

test('lines whose jobs take long to describe leave turns for others', async () => {
  const operands = { W: { data: [[1, 2]] }, A: { data: [[1], [2]] } };
  const job = { operation: 'value', expression: `W${'*A*W'.repeat(120)}`, operands };
  const batch = await accepted(Array(12).fill(job));
  const { longestMs, totalMs } = await longestTurn(async () => {
    assert.equal((await linesOf(batch)).length, 12);
  });
  assert.ok(longestMs < totalMs / 3, `${longestMs} of ${totalMs} ms in one turn`);
});
