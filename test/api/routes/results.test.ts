import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { resultRoutes } from '../../../api/routes/results.ts';
import { JobStore } from '../../../shared/io/job-store.ts';
import { encodeNpyHeader } from '../../../shared/io/npy.ts';
import { openFileStore } from '../../../shared/io/store/file-store.ts';
import { planJob } from '../../../shared/job/job-plan.ts';
import { RESULT_CHUNK_BYTES } from '../../../shared/job/limits.ts';
import type { BlockReceipt, Manifest, Outcome } from '../../../shared/job/outcome.ts';
import type { JobSpec } from '../../../shared/job/spec.ts';
import { assertProblem } from '../problem-assertions.ts';
import { type Served, serve } from '../serve.ts';

const VERIFICATION = { method: 'freivalds', rounds: 1, seeds: [1], maxError: 0, bound: 1e-15 } as const;
const SECONDS = { load: 0, compute: 0, verify: 0, store: 0 };
const NOW = Date.parse('2026-11-23T12:00:00Z');
const ABSENT_ID = '01JDC0000000000000000000ZZ';

let folder: string;
let jobs: JobStore;
let served: Served;
let now = NOW;
let created = 0;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'frechet-results-'));
  jobs = new JobStore(await openFileStore(folder));
  served = await serve(resultRoutes({ jobs, clock: () => now }));
});
after(async () => {
  await served.close();
  await rm(folder, { recursive: true });
});

/** A·W with A m×n and W n×p, in blocks of about `blockBytes`. */
function makeSpec(
  fields: Partial<JobSpec> & Pick<JobSpec, 'operation'>,
  [m, n, p]: readonly [number, number, number],
  blockBytes: number,
): JobSpec {
  created += 1;
  return {
    version: 1,
    id: `01JDC000000000000000${String(created).padStart(6, '0')}`,
    tenant: 'default',
    expression: 'A*W',
    wrt: 'W',
    operands: { A: { shape: { rows: m, cols: n } }, W: { shape: { rows: n, cols: p } } },
    dtype: 'float64',
    reproducible: false,
    seed: 0,
    labels: {},
    priority: 0,
    expiresIn: 86_400,
    createdAt: new Date(NOW).toISOString(),
    blockLimits: { bytes: blockBytes, flops: '1000000000000', workingSetBytes: 2 ** 30 },
    ...fields,
  };
}

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

/** Stores block `index`, whose data are `bytes`, as a worker would. */
async function putBlock(spec: JobSpec, index: number, bytes: Uint8Array): Promise<void> {
  const chunks: string[] = [];
  for (let start = 0; start < bytes.byteLength; start += RESULT_CHUNK_BYTES) {
    chunks.push(sha256(bytes.subarray(start, start + RESULT_CHUNK_BYTES)));
  }
  const receipt: BlockReceipt = {
    ...planJob(spec).block(index),
    index,
    bytes: bytes.byteLength,
    sha256: sha256(bytes),
    chunks,
    verification: VERIFICATION,
    errorBound: null,
    kernel: 'reference',
    seconds: SECONDS,
    flops: '1',
    startedAt: new Date(NOW).toISOString(),
    finishedAt: new Date(NOW).toISOString(),
  };
  await jobs.putBlock(spec.tenant, spec.id, [bytes], receipt);
}

/** The result cut at the blocks' sizes, which the test computes from their ranges by itself. */
async function storeJob(spec: JobSpec, data: Uint8Array, blockBytes: readonly number[]): Promise<Manifest> {
  await jobs.createSpec(spec);
  const plan = planJob(spec);
  assert.equal(plan.blocksTotal, blockBytes.length, 'the limits cut the job as the test means it');
  const blocks: Manifest['blocks'][number][] = [];
  let start = 0;
  for (const [index, size] of blockBytes.entries()) {
    const bytes = data.subarray(start, start + size);
    await putBlock(spec, index, bytes);
    blocks.push({ ...plan.block(index), bytes: size, sha256: sha256(bytes) });
    start += size;
  }
  assert.equal(start, data.byteLength);
  const digest = sha256(Buffer.concat(blocks.map(block => Buffer.from(block.sha256, 'hex'))));
  return { bytes: data.byteLength, digest, blocks };
}

const times = () => ({
  version: 1 as const,
  startedAt: new Date(NOW).toISOString(),
  finishedAt: new Date(NOW).toISOString(),
  expiresAt: new Date(NOW + 86_400_000).toISOString(),
});

async function succeed(spec: JobSpec, manifest: Manifest): Promise<void> {
  const outcome: Outcome = {
    ...times(),
    state: 'succeeded',
    manifest,
    verification: VERIFICATION,
    errorBound: null,
    kernel: 'reference',
    seconds: { ...SECONDS, queue: 0 },
  };
  await jobs.putOutcome(spec, outcome);
}

const bytesOf = (values: Float64Array) => new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
const counting = (length: number) => Float64Array.from({ length }, (_, i) => i + 1);
const get = (spec: { id: string }, rest = '', headers: Record<string, string> = {}, method = 'GET') =>
  fetch(`${served.url}/v1/jobs/${spec.id}/result${rest}`, { headers, method });
const whole = (shape: number[], order: 'C' | 'F', data: Uint8Array) =>
  new Uint8Array(Buffer.concat([encodeNpyHeader({ shape, dtype: 'float64', order }), data]));

/** 5×3, in blocks of two rows. */
async function matrixJob(): Promise<{ spec: JobSpec; body: Uint8Array; manifest: Manifest }> {
  const spec = makeSpec({ operation: 'jvp', direction: { shape: { rows: 4, cols: 3 } } }, [5, 4, 3], 48);
  const data = bytesOf(counting(15));
  const manifest = await storeJob(spec, data, [48, 48, 24]);
  await succeed(spec, manifest);
  return { spec, body: whole([5, 3], 'C', data), manifest };
}

test('a result is its header and its blocks in order, as one .npy', async () => {
  const { spec, body, manifest } = await matrixJob();
  const response = await get(spec);
  assert.equal(response.status, 200);
  assert.equal(response.headers.get('content-type'), 'application/x-npy');
  assert.equal(response.headers.get('content-length'), String(body.byteLength));
  assert.equal(response.headers.get('etag'), `"${manifest.digest}"`);
  assert.deepEqual(new Uint8Array(await response.arrayBuffer()), body);
  const head = await get(spec, '', {}, 'HEAD');
  assert.equal(head.headers.get('content-length'), String(body.byteLength));
  assert.equal(await head.text(), '');
});

test('every range of a result is that piece of the whole, across header and blocks', async () => {
  const { spec, body } = await matrixJob();
  const size = body.byteLength;
  for (const start of [0, 1, 127, 128, 129, 175, 176, 177, 223, 224, size - 1]) {
    for (const stop of [start + 1, 128, 130, 176, 177, 224, 225, size].filter(
      end => end > start && end <= size,
    )) {
      const response = await get(spec, '', { Range: `bytes=${start}-${stop - 1}` });
      assert.equal(response.status, 206);
      assert.equal(response.headers.get('content-range'), `bytes ${start}-${stop - 1}/${size}`);
      assert.deepEqual(
        new Uint8Array(await response.arrayBuffer()),
        body.slice(start, stop),
        `${start}-${stop}`,
      );
    }
  }
  await assertProblem(await get(spec, '', { Range: `bytes=${size}-` }), 'range-not-satisfiable');
});

test('a result is also JSON and CSV, with ETags of their own', async () => {
  const { spec, manifest } = await matrixJob();
  const json = await get(spec, '', { Accept: 'application/json' });
  assert.equal(json.headers.get('etag'), `"${manifest.digest}.json"`);
  assert.deepEqual(await json.json(), [
    [1, 2, 3],
    [4, 5, 6],
    [7, 8, 9],
    [10, 11, 12],
    [13, 14, 15],
  ]);
  const csv = await get(spec, '', { Accept: 'text/csv' });
  assert.equal(csv.headers.get('etag'), `"${manifest.digest}.csv"`);
  assert.equal(await csv.text(), '1,2,3\n4,5,6\n7,8,9\n10,11,12\n13,14,15\n');
  await assertProblem(await get(spec, '', { Accept: 'image/png' }), 'not-acceptable');
  const fresh = await get(spec, '', { 'If-None-Match': `"${manifest.digest}"` });
  assert.equal(fresh.status, 304);
});

test('a Jacobian is in Fortran order, its blocks are columns', async () => {
  // A is 2×1 and W 1×3, so F has 6 elements and W 3.
  const spec = makeSpec({ operation: 'jacobian' }, [2, 1, 3], 96);
  const data = bytesOf(counting(18));
  await succeed(spec, await storeJob(spec, data, [96, 48]));
  const response = await get(spec);
  assert.deepEqual(new Uint8Array(await response.arrayBuffer()), whole([6, 3], 'F', data));
  const json = await get(spec, '', { Accept: 'application/json' });
  const rows = Array.from({ length: 6 }, (_, i) => [i + 1, i + 7, i + 13]);
  assert.deepEqual(await json.json(), rows);
  const blocks = (await (await get(spec, '/blocks')).json()) as { columns: number[] }[];
  assert.deepEqual(
    blocks.map(block => block.columns),
    [
      [0, 2],
      [2, 3],
    ],
  );
  const second = await get(spec, '/blocks/1');
  assert.deepEqual(new Uint8Array(await second.arrayBuffer()), whole([6, 1], 'F', data.slice(96)));
});

test('a stack has three dimensions; its blocks are members, or rows of one', async () => {
  const direction = { shape: { rows: 2, cols: 3 }, members: 3 };
  const data = bytesOf(counting(18));
  const members = makeSpec({ operation: 'jvp', direction }, [2, 2, 3], 96);
  await succeed(members, await storeJob(members, data, [96, 48]));
  assert.deepEqual(new Uint8Array(await (await get(members)).arrayBuffer()), whole([3, 2, 3], 'C', data));
  const listed = (await (await get(members, '/blocks')).json()) as Record<string, unknown>[];
  assert.deepEqual(
    listed.map(block => [block.members, block.rows]),
    [
      [[0, 2], undefined],
      [[2, 3], undefined],
    ],
  );
  const first = await get(members, '/blocks/0');
  assert.deepEqual(new Uint8Array(await first.arrayBuffer()), whole([2, 2, 3], 'C', data.slice(0, 96)));
  await assertProblem(await get(members, '', { Accept: 'text/csv' }), 'not-acceptable');

  const rows = makeSpec({ operation: 'jvp', direction }, [2, 2, 3], 24);
  await succeed(rows, await storeJob(rows, data, [24, 24, 24, 24, 24, 24]));
  const fourth = await get(rows, '/blocks/3');
  assert.deepEqual(new Uint8Array(await fourth.arrayBuffer()), whole([1, 1, 3], 'C', data.slice(72, 96)));
});

test('finished blocks are listed with digest and link, also while others are computed', async () => {
  const { spec, manifest, body } = await matrixJob();
  const expected = manifest.blocks.map((block, index) => ({
    index,
    rows: [index * 2, Math.min(5, index * 2 + 2)],
    bytes: block.bytes,
    sha256: block.sha256,
    href: `/v1/jobs/${spec.id}/result/blocks/${index}`,
  }));
  assert.deepEqual(await (await get(spec, '/blocks')).json(), expected);
  const running = makeSpec({ operation: 'jvp', direction: { shape: { rows: 4, cols: 3 } } }, [5, 4, 3], 48);
  await jobs.createSpec(running);
  assert.deepEqual(await (await get(running, '/blocks')).json(), []);
  await putBlock(running, 2, body.slice(-24));
  await putBlock(running, 0, body.slice(128, 176));
  const half = expected.filter(block => block.index !== 1);
  const links = half.map(block => ({
    ...block,
    href: `/v1/jobs/${running.id}/result/blocks/${block.index}`,
  }));
  assert.deepEqual(await (await get(running, '/blocks')).json(), links);
  const last = await get(running, '/blocks/2');
  assert.equal(last.headers.get('etag'), `"${sha256(body.slice(-24))}"`);
  assert.deepEqual(new Uint8Array(await last.arrayBuffer()), whole([1, 3], 'C', body.slice(-24)));
  await assertProblem(await get(running, '/blocks/1'), 'not-found');
});

test('a block that cannot be is 404', async () => {
  const { spec } = await matrixJob();
  for (const index of ['3', '-1', '01', 'x', '1e0', '99999999999999999999']) {
    await assertProblem(await get(spec, `/blocks/${index}`), 'not-found');
  }
});

test('before the end 409, after it what became of the job, after expiry 410', async () => {
  const spec = () => makeSpec({ operation: 'value' }, [1, 1, 1], 48);
  const [queued, failed, cancelled] = [spec(), spec(), spec()];
  for (const job of [queued, failed, cancelled]) await jobs.createSpec(job);
  const problem = { code: 'operand-lost', detail: 'operand A was deleted', context: {} } as const;
  await jobs.putOutcome({ tenant: 'default', id: failed.id }, { ...times(), state: 'failed', problem });
  await jobs.putOutcome({ tenant: 'default', id: cancelled.id }, { ...times(), state: 'cancelled' });
  await assertProblem(await get(queued), 'job-not-finished');
  const told = await assertProblem(await get(failed), 'job-failed');
  assert.match(told.detail, /operand A was deleted/);
  await assertProblem(await get(cancelled), 'job-cancelled');
  const { spec: done } = await matrixJob();
  now = NOW + 86_400_000 + 1;
  try {
    await assertProblem(await get(done), 'expired');
    await assertProblem(await get(done, '/blocks'), 'expired');
    await assertProblem(await get(done, '/blocks/0'), 'expired');
  } finally {
    now = NOW;
  }
});

test('a job that is not there is 404, for the result and for blocks', async () => {
  for (const id of [ABSENT_ID, 'x', '..%2F..']) {
    for (const rest of ['', '/blocks', '/blocks/0'])
      await assertProblem(await get({ id }, rest), 'not-found');
  }
});

test('the result of a check is its JSON document, whatever is asked for', async () => {
  const spec = makeSpec({ operation: 'check' }, [2, 2, 2], 2 ** 20);
  const document = { passed: true, linear: true };
  const bytes = Buffer.from(JSON.stringify(document));
  await succeed(spec, await storeJob(spec, bytes, [bytes.byteLength]));
  for (const accept of ['application/x-npy', 'text/csv', 'application/json', '*/*']) {
    const response = await get(spec, '', { Accept: accept });
    assert.equal(response.status, 200);
    assert.equal(response.headers.get('content-type'), 'application/json');
    assert.equal(response.headers.get('content-length'), String(bytes.byteLength));
    assert.deepEqual(await response.json(), document);
  }
});

test('bytes that changed in the store never leave as if they were right', async () => {
  const { spec, body } = await matrixJob();
  const path = join(
    folder,
    'objects',
    'tenants',
    'default',
    'jobs',
    spec.id.slice(0, 6),
    spec.id,
    'blocks',
    '1',
  );
  const file = await open(path, 'r+');
  await file.write(Buffer.from([0xff]), 0, 1, 20);
  await file.close();
  await assert.rejects((await get(spec)).arrayBuffer(), 'the connection breaks');
  await assertProblem(await get(spec, '', { Range: 'bytes=180-190' }), 'result-corrupt');
  const good = await get(spec, '', { Range: 'bytes=128-175' });
  assert.deepEqual(
    new Uint8Array(await good.arrayBuffer()),
    body.slice(128, 176),
    'other blocks are not touched',
  );
  await rm(path);
  await assertProblem(await get(spec, '', { Range: 'bytes=180-190' }), 'result-corrupt');
});

test('a block that is not the one in the manifest is not sent', async () => {
  const spec = makeSpec({ operation: 'jvp', direction: { shape: { rows: 4, cols: 3 } } }, [5, 4, 3], 48);
  const manifest = await storeJob(spec, bytesOf(counting(15)), [48, 48, 24]);
  const blocks = manifest.blocks.map((block, i) => (i === 1 ? { ...block, sha256: 'a'.repeat(64) } : block));
  await succeed(spec, { ...manifest, blocks });
  await assertProblem(await get(spec, '', { Range: 'bytes=180-190' }), 'result-corrupt');
});

test('a range of a large result reads the chunks it touches and no more', async () => {
  const rows = 3 * 2 ** 18;
  const spec = makeSpec(
    { operation: 'jvp', direction: { shape: { rows: 1, cols: 2 } } },
    [rows, 1, 2],
    2 ** 30,
  );
  const data = bytesOf(counting(2 * rows));
  await succeed(spec, await storeJob(spec, data, [data.byteLength]));
  const path = join(
    folder,
    'objects',
    'tenants',
    'default',
    'jobs',
    spec.id.slice(0, 6),
    spec.id,
    'blocks',
    '0',
  );
  const file = await open(path, 'r+');
  await file.write(Buffer.from([0xff]), 0, 1, 0);
  await file.close();
  const start = 128 + RESULT_CHUNK_BYTES + 8;
  const response = await get(spec, '', { Range: `bytes=${start}-${start + 15}` });
  assert.equal(response.status, 206, 'damage in the first chunk is none of the second');
  const values = new Float64Array(await response.arrayBuffer());
  assert.deepEqual([...values], [RESULT_CHUNK_BYTES / 8 + 2, RESULT_CHUNK_BYTES / 8 + 3]);
});
