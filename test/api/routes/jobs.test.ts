import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { jobHref } from '../../../api/jobs/job-document.ts';
import { batchIdOf } from '../../../shared/io/batch-ids.ts';
import { startTestRedis, type TestRedis } from '../../support/redis.ts';
import {
  endJob,
  finishBlock,
  jobIn,
  postJson,
  specOf,
  startGateway,
  succeededOutcome,
  type TestGateway,
} from '../gateway.ts';
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

const JVP = {
  operation: 'jvp',
  operands: {
    A: {
      data: [
        [1, 2],
        [3, 4],
        [5, 6],
      ],
    },
  },
  direction: {
    data: [
      [1, 0],
      [-2, 1],
    ],
  },
};

const submit = (body: unknown, headers?: Record<string, string>) =>
  postJson(`${gateway.url}/v1/jobs`, body, headers);

async function accepted(body: unknown) {
  const response = await submit(body);
  const document = await jobIn(response);
  assert.equal(response.status, 202, JSON.stringify(document));
  return { response, document };
}

test('an accepted job is answered with 202, its place and the whole document, in order', async () => {
  const { response, document } = await accepted({ ...JVP, labels: { run: '42' }, priority: 3 });
  assert.match(document.id, /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/);
  const self = `/v1/jobs/${document.id}`;
  assert.equal(response.headers.get('location'), self);
  assert.equal(response.headers.get('preference-applied'), null);
  const expected = {
    id: document.id,
    state: 'queued',
    operation: 'jvp',
    expression: 'A*W',
    wrt: 'W',
    dtype: 'float64',
    derivative: {
      linear: true,
      differential: 'A*dW',
      adjoint: "A'*G",
      jacobian: 'kron(eye(2), A)',
      latex: document.derivative.latex,
    },
    result: null,
    progress: { blocksDone: 0, blocksTotal: 1, flopsDone: 0, flopsTotal: 24 },
    verification: null,
    errorBound: null,
    kernel: null,
    timings: null,
    createdAt: document.createdAt,
    startedAt: null,
    finishedAt: null,
    expiresAt: null,
    labels: { run: '42' },
    priority: 3,
    error: null,
    links: {
      self,
      result: `${self}/result`,
      blocks: `${self}/result/blocks`,
      events: `${self}/events`,
      cancel: `${self}/cancel`,
    },
  };
  assert.equal(JSON.stringify(document), JSON.stringify(expected));
  assert.equal(new Date(document.createdAt).toISOString(), document.createdAt);
  const read = await fetch(`${gateway.url}${self}`);
  assert.equal(read.status, 200);
  assert.equal(await read.text(), JSON.stringify(expected));
});

test('an accepted job is durable, marked open, known to the queue and part of the backlog', async () => {
  const before = await gateway.deps.live.load();
  const { document } = await accepted(JVP);
  const spec = await specOf(gateway, document.id);
  assert.equal(spec.tenant, 'default');
  assert.ok((await gateway.deps.openJobs.newestFirst('default')).includes(document.id));
  const slice = { tenant: 'default', batchId: batchIdOf(document.id), slice: 0 };
  assert.equal(await gateway.deps.queue.knowsSlice(slice), true);
  const load = await gateway.deps.live.load();
  assert.equal(load.queued, before.queued + 1);
  assert.equal(load.backlogFlops, before.backlogFlops + 24);
});

test('small inline data live inside the spec, rounded to their dtype, in C order', async () => {
  const { document } = await accepted({
    ...JVP,
    operands: { A: { data: [[0.1], ['NaN']], dtype: 'float32' }, W: { shape: [1, 1] } },
    direction: { data: 2 },
  });
  const { operands, direction } = await specOf(gateway, document.id);
  const base64 = Buffer.from(Float32Array.of(0.1, Number.NaN).buffer).toString('base64');
  assert.deepEqual(operands.A, {
    shape: { rows: 2, cols: 1 },
    source: { inline: base64, dtype: 'float32', order: 'C' },
  });
  assert.deepEqual(direction, {
    shape: { rows: 1, cols: 1 },
    source: {
      inline: Buffer.from(Float64Array.of(2).buffer).toString('base64'),
      dtype: 'float64',
      order: 'C',
    },
  });
});

test('inline data past the limit become arrays of the tenant, but for a value that does not matter', async () => {
  const row = Array.from({ length: 100 }, (_, index) => index);
  const square = Array.from({ length: 100 }, () => row);
  const { document } = await accepted({
    operation: 'jvp',
    operands: { A: { data: square }, W: { data: square.map(values => values.map(value => value + 1)) } },
    direction: { data: square },
  });
  const spec = await specOf(gateway, document.id);
  const source = spec.operands.A?.source;
  assert.ok(source !== undefined && 'array' in source);
  assert.deepEqual(spec.direction?.source, source, 'the same data are the same array');
  assert.equal(spec.operands.W?.source, undefined);
  const { data } = await gateway.deps.arrays.list('default', 100);
  assert.deepEqual(
    data.map(({ id }) => id),
    [source.array],
  );
  assert.deepEqual(data[0]?.shape, [100, 100]);
});

test('a job may name arrays by id', async () => {
  const upload = await postJson(`${gateway.url}/v1/arrays`, [[1, 2]]);
  const { id } = (await upload.json()) as { id: string };
  const { document } = await accepted({ ...JVP, operands: { A: id } });
  const spec = await specOf(gateway, document.id);
  assert.deepEqual(spec.operands.A?.source, { array: id, dtype: 'float64', order: 'C' });
});

test('a finished job says what came of it', async () => {
  const { document } = await accepted(JVP);
  const spec = await specOf(gateway, document.id);
  await finishBlock(gateway, spec, 0);
  const running = await jobIn(await fetch(`${gateway.url}${jobHref(spec.id)}`));
  assert.equal(running.state, 'running');
  assert.equal(running.progress.blocksDone, 1);
  assert.equal(running.progress.flopsDone, 24);
  assert.ok(running.startedAt !== null && running.startedAt >= running.createdAt);
  await endJob(gateway, spec, succeededOutcome(spec, '2026-01-01T00:00:01.000Z', '2026-01-01T00:00:02.000Z'));
  const ended = await jobIn(await fetch(`${gateway.url}${jobHref(spec.id)}`));
  assert.equal(ended.state, 'succeeded');
  assert.deepEqual(ended.result, {
    shape: [3, 2],
    dtype: 'float64',
    order: 'C',
    bytes: 176,
    digest: 'd'.repeat(64),
    href: `/v1/jobs/${spec.id}/result`,
  });
  assert.deepEqual(ended.progress, { blocksDone: 1, blocksTotal: 1, flopsDone: 24, flopsTotal: 24 });
  assert.deepEqual(ended.verification, { method: 'freivalds', rounds: 1, maxError: 0, bound: 1e-15 });
  assert.equal(ended.kernel, 'reference');
  assert.deepEqual(ended.timings, {
    queueSeconds: 1,
    loadSeconds: 2,
    computeSeconds: 3,
    verifySeconds: 4,
    storeSeconds: 5,
  });
  assert.equal(ended.startedAt, '2026-01-01T00:00:01.000Z');
  assert.equal(ended.finishedAt, '2026-01-01T00:00:02.000Z');
  assert.equal(ended.expiresAt, '2026-01-02T00:00:02.000Z');
  assert.equal(ended.error, null);
});

test('a failed job carries its problem', async () => {
  const { document } = await accepted(JVP);
  const spec = await specOf(gateway, document.id);
  const now = new Date().toISOString();
  await endJob(gateway, spec, {
    version: 1,
    state: 'failed',
    finishedAt: now,
    expiresAt: now,
    problem: { code: 'operand-lost', detail: 'operand "A" is gone', context: {} },
  });
  const failed = await jobIn(await fetch(`${gateway.url}${jobHref(spec.id)}`));
  assert.equal(failed.state, 'failed');
  assert.equal(failed.result, null);
  assert.deepEqual(failed.error, {
    type: 'urn:frechet:problem:operand-lost',
    title: 'An operand disappeared before the job could read it',
    status: 422,
    detail: 'operand "A" is gone',
  });
});

test('what is no job of the tenant is not found, whatever it looks like', async () => {
  for (const id of ['01JE0000000000000000000000', '..%2F..%2Fetc', 'x', '01je0000000000000000000000']) {
    await assertProblem(await fetch(`${gateway.url}/v1/jobs/${id}`), 'not-found');
    await assertProblem(await fetch(`${gateway.url}/v1/jobs/${id}`, { method: 'DELETE' }), 'not-found');
    await assertProblem(await postJson(`${gateway.url}/v1/jobs/${id}/cancel`, {}), 'not-found');
  }
});

test('Prefer: wait answers 200 as soon as the job has ended', async () => {
  const known = new Set(await gateway.deps.openJobs.newestFirst('default'));
  const submitted = submit(JVP, { Prefer: 'respond-async, wait=100' });
  let jobId: string | undefined;
  while (jobId === undefined) {
    jobId = (await gateway.deps.openJobs.newestFirst('default')).find(id => !known.has(id));
  }
  let spec = await gateway.deps.jobs.readSpec('default', jobId);
  while (spec === undefined) spec = await gateway.deps.jobs.readSpec('default', jobId);
  const startedAt = performance.now();
  await endJob(gateway, spec);
  const response = await submitted;
  assert.ok(performance.now() - startedAt < 900, 'the event was heard');
  assert.equal(response.status, 200);
  assert.equal(response.headers.get('preference-applied'), 'wait=60');
  assert.equal(response.headers.get('location'), `/v1/jobs/${jobId}`);
  assert.equal((await jobIn(response)).state, 'succeeded');
});

test('Prefer: wait answers 202 after its time, and nobody watches any more', async () => {
  const startedAt = performance.now();
  const response = await submit(JVP, { Prefer: 'wait=1' });
  const seconds = (performance.now() - startedAt) / 1000;
  assert.equal(response.status, 202);
  assert.equal(response.headers.get('preference-applied'), 'wait=1');
  assert.equal((await jobIn(response)).state, 'queued');
  assert.ok(seconds >= 0.95 && seconds < 3, `${seconds} s`);
  assert.equal(gateway.deps.events.watchedJobs, 0);
});

test('a malformed preference is ignored', async () => {
  const response = await submit(JVP, { Prefer: 'wait=soon' });
  assert.equal(response.status, 202);
  assert.equal(response.headers.get('preference-applied'), null);
});

test('without Redis nothing is accepted and nothing stored, but jobs can be read', async () => {
  const lonelyRedis = await startTestRedis();
  const lonely = await startGateway(lonelyRedis.url);
  try {
    const { id } = await jobIn(await postJson(`${lonely.url}/v1/jobs`, JVP));
    await lonelyRedis.kill();
    const filesBefore = await lonely.storedFiles();
    await assertProblem(await postJson(`${lonely.url}/v1/jobs`, JVP), 'unavailable');
    assert.deepEqual(await lonely.storedFiles(), filesBefore);
    const read = await fetch(`${lonely.url}/v1/jobs/${id}`);
    assert.equal(read.status, 200);
    assert.equal((await jobIn(read)).state, 'queued');
    const cancelled = await postJson(`${lonely.url}/v1/jobs/${id}/cancel`, {});
    assert.equal((await jobIn(cancelled)).state, 'cancelled');
    assert.deepEqual(await lonely.deps.openJobs.newestFirst('default'), [id], 'left for the reconciler');
  } finally {
    await lonely.close();
    await lonelyRedis.restart();
    await lonelyRedis.stop();
  }
});

test('a job that the queue cannot take any more after it is durable is accepted', async () => {
  const { queue } = gateway.deps;
  const enqueue = queue.enqueue;
  queue.enqueue = () => Promise.reject(new Error('Connection is closed.'));
  try {
    const { document } = await accepted(JVP);
    assert.ok((await gateway.deps.openJobs.newestFirst('default')).includes(document.id));
    assert.equal(document.state, 'queued');
  } finally {
    queue.enqueue = enqueue;
  }
});
