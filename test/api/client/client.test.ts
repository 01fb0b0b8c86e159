// The client against a whole, real service: every method, with integer matrices whose answers are known exactly.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import {
  type Client,
  createClient,
  decodeNpy,
  encodeNpy,
  FrechetProblem,
  isFinal,
  type JobEvent,
  ndArray,
  toNested,
} from '../../../api/client/index.ts';
import { elementAt, tabulate } from '../../support/evaluate.ts';
import { columnsOf, diagonalCopies, integers, product, transposed } from '../../support/integers.ts';
import { type Stack, startStack } from '../../support/processes.ts';

let stack: Stack;
let client: Client;
/** What the client asked, as `GET /v1/system`. */
const asked: string[] = [];

before(async () => {
  stack = await startStack();
  client = createClient({
    url: `${stack.url}/`,
    fetch: (input, init) => {
      asked.push(`${init?.method} ${String(input).slice(stack.url.length)}`);
      return fetch(input, init);
    },
  });
});
after(() => stack?.stop());

type Matrix = ReturnType<typeof integers>;

function asArray({ rows, cols, data }: Matrix) {
  return ndArray(Float64Array.from(data), [rows, cols]);
}

function asLists(matrix: Matrix): number[][] {
  return Array.from({ length: matrix.rows }, (_, i) =>
    Array.from({ length: matrix.cols }, (_, j) => elementAt(matrix, i, j)),
  );
}

const A = integers(3, 2, 1);
const H = integers(2, 4, 2);
const G = integers(3, 4, 3);

test('a jvp of lists answers A·H, with its job', async () => {
  const { job, result } = await client.compute({
    operation: 'jvp',
    operands: { A: asLists(A) },
    direction: asLists(H),
  });
  assert.deepEqual(toNested(result), asLists(product(A, H)));
  assert.equal(job.state, 'succeeded');
  assert.equal(job.derivative.differential, 'A*dW');
  assert.deepEqual(result.shape, [3, 4]);
});

test('a small job takes two requests: one that waits, one for the result', async () => {
  asked.length = 0;
  const { job } = await client.compute({
    operation: 'vjp',
    operands: { A: asLists(A) },
    cotangent: asLists(G),
  });
  assert.deepEqual(asked, ['POST /v1/jobs', `GET /v1/jobs/${job.id}/result`]);
});

test("a vjp of typed arrays answers A'·G, in float32 where that is asked for", async () => {
  const { result } = await client.compute({
    operation: 'vjp',
    operands: { A: asArray(A) },
    cotangent: ndArray(Float32Array.from(G.data), [3, 4]),
    dtype: 'float32',
  });
  assert.ok(result.data instanceof Float32Array);
  assert.deepEqual(toNested(result), asLists(product(transposed(A), G)));
});

test('columns of a Jacobian come in Fortran order and nest as rows', async () => {
  const { result } = await client.compute({
    operation: 'jacobian',
    operands: { A: asArray(A), W: { shape: [2, 4] } },
    jacobian: { columns: [1, 6] },
  });
  assert.equal(result.order, 'F');
  assert.deepEqual(toNested(result), asLists(columnsOf(diagonalCopies(4, A), 1, 6)));
});

test('an array given in Fortran order is the matrix that it is', async () => {
  const columnwise = ndArray(Float64Array.from(transposed(A).data), [3, 2], 'F');
  const { result } = await client.compute({
    operation: 'jvp',
    operands: { A: columnwise },
    direction: asArray(H),
  });
  assert.deepEqual(toNested(result), asLists(product(A, H)));
});

test('a check answers its report', async () => {
  const W = asArray(integers(3, 3, 5));
  const { report } = await client.check({ expression: "W'*W", operands: { W }, seed: 3 });
  assert.equal(report.passed, true);
  assert.equal(report.linear, false);
  assert.ok((report.taylor.rate ?? 0) > 1.9);
});

test('an upload is skipped where the service has the array', async () => {
  const array = asArray(integers(20, 30, 7));
  asked.length = 0;
  const first = await client.arrays.upload(array);
  assert.deepEqual(asked, [`GET /v1/arrays/${first.id}`, 'POST /v1/arrays']);
  asked.length = 0;
  const again = await client.arrays.upload(encodeNpy(array));
  assert.deepEqual(asked, [`GET /v1/arrays/${first.id}`]);
  assert.deepEqual(again, first);
  assert.deepEqual(await client.arrays.data(first.id), array);
});

test('every form of a source becomes the same array', async () => {
  const array = asArray(integers(5, 6, 8));
  const file = encodeNpy(array);
  const { id } = await client.arrays.upload(array);
  const sources = [
    file,
    new Blob([file]),
    new Blob([file]).stream(),
    { stream: () => new Blob([file]).stream() },
    { stream: () => new Blob([file]).stream(), id },
    asLists(integers(5, 6, 8)),
  ];
  for (const source of sources) assert.equal((await client.arrays.upload(source)).id, id);
});

test('values pass bit for bit, inline and uploaded', async () => {
  const odd = [-0, 5e-324, 1.7976931348623157e308, 0.1, Number.NaN, -Infinity];
  for (const copies of [1, 500]) {
    const data = Float64Array.from(Array.from({ length: copies }, () => odd).flat());
    const array = ndArray(data, [data.length, 1]);
    const { result } = await client.compute({ operation: 'value', expression: 'W', operands: { W: array } });
    assert.deepEqual(result.data, data);
    assert.ok(Object.is(result.data[0], -0));
  }
});

test('arrays are listed page by page, newest first, and deleted', async () => {
  const ids: string[] = [];
  for (const seed of [11, 12, 13]) ids.push((await client.arrays.upload(asArray(integers(9, 9, seed)))).id);
  const listed: string[] = [];
  for await (const { id } of client.arrays.list({ pageSize: 2 })) listed.push(id);
  assert.deepEqual(listed.slice(0, 3), ids.reverse());
  await client.arrays.delete(ids[0] ?? '');
  await assert.rejects(client.arrays.get(ids[0] ?? ''), {
    name: 'FrechetProblem',
    slug: 'not-found',
    status: 404,
  });
});

test('a plan says what the job would be, and nothing runs', async () => {
  const plan = await client.jobs.plan({
    operation: 'jacobian',
    operands: { A: asArray(A), W: { shape: [2, 4] } },
  });
  assert.deepEqual(plan.result.shape, [12, 8]);
  assert.deepEqual(plan.shapes, { A: [3, 2], W: [2, 4], F: [3, 4] });
});

/** Columns enough for several blocks. */
const WIDE = 1 << 17;
const wide = {
  operation: 'jacobian',
  operands: { A: asLists(integers(2, 2, 21)), W: { shape: [2, WIDE] } },
  jacobian: { columns: [0, 64] },
} as const;

test('blocks come as they are finished, each once, and make up the result', async () => {
  const job = await client.jobs.submit(wide);
  const live = new Map<number, readonly number[]>();
  let bytes = 0;
  for await (const block of client.jobs.blocks(job)) {
    assert.ok(!live.has(block.index));
    live.set(block.index, block.columns ?? []);
    const piece = await block.read();
    assert.equal(piece.data.byteLength, block.bytes);
    bytes += block.bytes;
  }
  const ended = await client.jobs.get(job);
  assert.ok(live.size > 1, 'the job has several blocks');
  assert.equal(live.size, ended.progress.blocksTotal);
  assert.equal(bytes, (ended.result?.bytes ?? 0) - 128);
  const later: number[] = [];
  for await (const block of client.jobs.blocks(job)) later.push(block.index);
  assert.deepEqual(
    later,
    [...live.keys()].sort((a, b) => a - b),
  );
});

test('waiting tells progress that grows to the whole', async () => {
  const job = await client.jobs.submit({ ...wide, jacobian: { columns: [64, 128] } });
  const done: number[] = [];
  const ended = await client.jobs.wait(job, { onProgress: ({ blocksDone }) => done.push(blocksDone) });
  assert.equal(ended.state, 'succeeded');
  assert.equal(done.at(-1), ended.progress.blocksTotal);
  assert.deepEqual(
    done,
    [...done].sort((a, b) => a - b),
  );
});

test('a stream that does not get through is replaced by asking', async () => {
  const polling = createClient({
    url: stack.url,
    fetch: (input, init) =>
      String(input).endsWith('/events')
        ? Promise.resolve(new Response('', { status: 406 }))
        : fetch(input, init),
  });
  const job = await polling.jobs.submit({ ...wide, jacobian: { columns: [128, 192] } });
  const events: JobEvent[] = [];
  for await (const event of polling.jobs.watch(job)) events.push(event);
  const blocks = events.flatMap(({ event, data }) => (event === 'block' ? [data.index] : []));
  const last = events.at(-1);
  assert.ok(last?.event === 'state' && isFinal(last.data));
  assert.equal(new Set(blocks).size, last.data.progress.blocksTotal);
  assert.equal(blocks.length, last.data.progress.blocksTotal);
});

test('a result streams, also as CSV', async () => {
  const { job, result } = await client.compute({
    operation: 'jvp',
    operands: { A: asLists(A) },
    direction: asLists(H),
  });
  const bytes = await new Response(await client.jobs.stream(job)).arrayBuffer();
  assert.deepEqual(decodeNpy(new Uint8Array(bytes)), result);
  const csv = await new Response(await client.jobs.stream(job, { mediaType: 'text/csv' })).text();
  assert.deepEqual(
    csv
      .trim()
      .split(/\r?\n/)
      .map(row => row.split(',').map(Number)),
    asLists(product(A, H)),
  );
});

test('jobs are found by label and state; a cancelled job says that it was', async () => {
  const label = { key: 'run', value: 'cancel me' };
  const job = await client.jobs.submit({
    operation: 'check',
    expression: 'W*W*W',
    operands: { W: ndArray(Float64Array.from(tabulate(900, 900, (i, j) => (i + j) % 3).data), [900, 900]) },
    labels: { [label.key]: label.value },
  });
  const cancelled = await client.jobs.cancel(job);
  assert.equal(cancelled.state, 'cancelled');
  const found: string[] = [];
  for await (const { id } of client.jobs.list({ label, state: 'cancelled' })) found.push(id);
  assert.deepEqual(found, [job.id]);
  await assert.rejects(client.jobs.result(job), { slug: 'job-cancelled', status: 409 });
  assert.equal((await client.jobs.wait(job)).state, 'cancelled');
  await client.jobs.delete(job);
  await assert.rejects(client.jobs.get(job), { slug: 'not-found' });
});

test('a batch computes its good lines, rejects its bad one, and is told of in order', async () => {
  const directions = [integers(2, 4, 31), integers(2, 4, 32)];
  const operands = { A: asArray(integers(64, 64, 33)) };
  const large = { operation: 'jvp', operands, direction: asArray(integers(64, 64, 34)) } as const;
  const submitted = await client.batches.submit([
    ...directions.map((direction, index) => ({
      customId: `H${index}`,
      operation: 'jvp' as const,
      operands: { A: asArray(A) },
      direction: asArray(direction),
    })),
    { operation: 'jvp', operands: { A: asArray(A) }, direction: asArray(G) },
    large,
    large,
  ]);
  const ended = await client.batches.wait(submitted);
  assert.deepEqual([ended.total, ended.counts.succeeded, ended.counts.rejected], [5, 4, 1]);
  const told: unknown[] = [];
  for await (const line of client.batches.jobs(ended)) {
    told.push([line.line, line.customId ?? null, 'job' in line ? line.job.state : line.error.type]);
    const direction = directions[line.line - 1];
    if (direction === undefined || !('job' in line)) continue;
    assert.deepEqual(toNested(await client.jobs.result(line.job)), asLists(product(A, direction)));
  }
  assert.deepEqual(told, [
    [1, 'H0', 'succeeded'],
    [2, 'H1', 'succeeded'],
    [3, null, 'urn:frechet:problem:shape-mismatch'],
    [4, null, 'succeeded'],
    [5, null, 'succeeded'],
  ]);
});

test('a refusal is a problem with slug, places and request id', async () => {
  const refused = client.jobs.submit({ operation: 'jvp', expression: 'A*W', direction: asLists(H) });
  await assert.rejects(refused, (error: unknown) => {
    assert.ok(error instanceof FrechetProblem);
    assert.equal(error.slug, 'operand-missing');
    assert.equal(error.status, 422);
    assert.equal(error.errors[0]?.pointer, '/operands/A');
    assert.match(error.requestId ?? '', /./);
    return true;
  });
});

test('an answer that is lost costs another request, and makes no second job', async () => {
  let lost = 0;
  const unlucky = createClient({
    url: stack.url,
    retry: { delayMs: 1 },
    fetch: async (input, init) => {
      const response = await fetch(input, init);
      if (init?.method !== 'POST' || lost === 2) return response;
      lost += 1;
      await response.arrayBuffer();
      throw new TypeError('fetch failed');
    },
  });
  const label = { key: 'answer', value: 'lost' };
  const job = await unlucky.jobs.submit({
    operation: 'jvp',
    operands: { A: asLists(A) },
    direction: asLists(H),
    labels: { [label.key]: label.value },
  });
  assert.equal(lost, 2);
  const found: string[] = [];
  for await (const { id } of client.jobs.list({ label })) found.push(id);
  assert.deepEqual(found, [job.id]);
});

test('a signal ends a wait, and the job goes on', async () => {
  const job = await client.jobs.submit({ ...wide, jacobian: { columns: [192, 256] } });
  const stopping = new AbortController();
  const waiting = client.jobs.wait(job, { signal: stopping.signal });
  stopping.abort(new Error('enough'));
  await assert.rejects(waiting, { message: 'enough' });
  assert.equal((await client.jobs.wait(job)).state, 'succeeded');
});

test('the service tells about itself', async () => {
  const { version, workers } = await client.system();
  assert.match(version, /^\d+\.\d+\.\d+/);
  assert.equal(workers.length, 1);
});
