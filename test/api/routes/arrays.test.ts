import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { request as httpRequest } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { ArrivingBytes } from '../../../api/jobs/arriving-bytes.ts';
import { arrayRoutes } from '../../../api/routes/arrays.ts';
import { ArrayStore } from '../../../shared/io/array-store.ts';
import { createBatchProgress } from '../../../shared/io/batch-progress.ts';
import { JobStore } from '../../../shared/io/job-store.ts';
import type { Live } from '../../../shared/io/live.ts';
import { encodeNpyHeader } from '../../../shared/io/npy.ts';
import { createOpenJobs } from '../../../shared/io/open-jobs.ts';
import { openFileStore } from '../../../shared/io/store/file-store.ts';
import type { Store } from '../../../shared/io/store/store.ts';
import { ARRAY_RETENTION_SECONDS, JSON_BODY_BYTES_MAX } from '../../../shared/job/limits.ts';
import type { JobSpec } from '../../../shared/job/spec.ts';
import type { Dtype } from '../../../shared/math/dtype.ts';
import type { Order } from '../../../shared/math/view.ts';
import { assertProblem } from '../problem-assertions.ts';
import { type Served, serve } from '../serve.ts';

interface ArrayDocument {
  readonly id: string;
  readonly shape: number[];
  readonly dtype: string;
  readonly order: string;
  readonly bytes: number;
  readonly createdAt: string;
  readonly expiresAt: string;
  readonly links: { readonly self: string; readonly data: string };
}

const NPY = 'application/x-npy';
const ABSENT_ID = 'f'.repeat(64);

let folder: string;
let store: Store;
let jobs: JobStore;
let served: Served;
let now = Date.parse('2026-11-23T12:00:00Z');
let owedBytes = 0;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'frechet-arrays-'));
  store = await openFileStore(folder);
  jobs = new JobStore(store);
  const arrays = new ArrayStore(store, () => now);
  // A tenant without a limit is not counted.
  const storedBytes = { reserve: async () => undefined, giveBack: async () => undefined };
  const live = { owedBytes: async () => owedBytes } as Partial<Live> as Live; // all it asks
  const [openJobs, batchProgress] = [createOpenJobs(store), createBatchProgress(jobs)];
  const arriving = new ArrivingBytes();
  served = await serve(
    arrayRoutes({ arrays, arriving, batchProgress, jobs, live, openJobs, store, storedBytes }),
  );
});
after(async () => {
  await served.close();
  await rm(folder, { recursive: true });
});

test('an upload leaves room for what accepted jobs have still to store', async () => {
  owedBytes = 2 ** 52;
  const { limit } = await assertProblem(await upload('[[1, 2]]', 'application/json'), 'store-full');
  assert.equal(limit, 0);
  owedBytes = 0;
  assert.equal((await upload('[[1, 2]]', 'application/json')).status, 201);
});

const get = (path: string, init?: RequestInit) => fetch(`${served.url}${path}`, init);
const upload = (body: string | Uint8Array<ArrayBuffer>, type: string) =>
  get('/v1/arrays', { method: 'POST', body, headers: { 'Content-Type': type } });
const uploaded = async (body: string | Uint8Array<ArrayBuffer>, type: string) =>
  (await (await upload(body, type)).json()) as ArrayDocument;
const download = (id: string, headers: Record<string, string> = {}) =>
  get(`/v1/arrays/${id}/data`, { headers });

function npy(
  shape: number[],
  values: Float64Array | Float32Array,
  order: Order = 'C',
): Uint8Array<ArrayBuffer> {
  const dtype: Dtype = values instanceof Float64Array ? 'float64' : 'float32';
  const data = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  return new Uint8Array(Buffer.concat([encodeNpyHeader({ shape, dtype, order }), data]));
}

const MATRIX = Float64Array.of(1, 2, 3, 4, 5, 6);

function idOf(line: string, values: Float64Array | Float32Array): string {
  return createHash('sha256').update(line).update(new Uint8Array(values.buffer)).digest('hex');
}

async function temporaries(): Promise<string[]> {
  return readdir(join(folder, 'tmp'));
}

test('an .npy upload is 201 with everything known of it, and 200 the second time', async () => {
  const response = await upload(npy([3, 2], MATRIX), NPY);
  assert.equal(response.status, 201);
  const array = (await response.json()) as ArrayDocument;
  const id = idOf('<f8 C 3,2\n', MATRIX);
  assert.deepEqual(array, {
    id,
    shape: [3, 2],
    dtype: 'float64',
    order: 'C',
    bytes: 48,
    createdAt: new Date(now).toISOString(),
    expiresAt: new Date(now + ARRAY_RETENTION_SECONDS * 1000).toISOString(),
    links: { self: `/v1/arrays/${id}`, data: `/v1/arrays/${id}/data` },
  });
  assert.equal(response.headers.get('location'), `/v1/arrays/${id}`);
  const again = await upload(npy([3, 2], MATRIX), NPY);
  assert.equal(again.status, 200);
  assert.equal(((await again.json()) as ArrayDocument).id, id);
  assert.deepEqual(await (await get(`/v1/arrays/${id}`)).json(), array);
});

test('the id follows dtype, order and shape as promised, so that a client can compute it', async () => {
  const columns = await uploaded(npy([3, 2], MATRIX, 'F'), NPY);
  assert.equal(columns.id, idOf('<f8 F 3,2\n', MATRIX));
  assert.equal(columns.order, 'F');
  const vector = await uploaded(npy([3], Float32Array.of(1, 2, 3)), NPY);
  assert.equal(vector.id, idOf('<f4 C 3\n', Float32Array.of(1, 2, 3)));
  const scalar = await uploaded(npy([], Float64Array.of(7)), NPY);
  assert.equal(scalar.id, idOf('<f8 C \n', Float64Array.of(7)));
  const stack = await uploaded(npy([1, 3, 2], MATRIX), NPY);
  assert.equal(stack.id, idOf('<f8 C 1,3,2\n', MATRIX));
});

test('JSON and CSV make the same arrays as .npy', async () => {
  const id = idOf('<f8 C 3,2\n', MATRIX);
  assert.equal((await uploaded('[[1,2],[3,4],[5,6]]', 'application/json')).id, id);
  assert.equal((await uploaded('{"data":[[1,2],[3,4],[5,6]],"dtype":"float64"}', 'application/json')).id, id);
  assert.equal((await uploaded('1,2\r\n3,4\n5,6', 'text/csv')).id, id);
  const single = await uploaded('{"data":[[1,2],[3,4],[5,6]],"dtype":"float32"}', 'application/json');
  assert.equal(single.id, idOf('<f4 C 3,2\n', Float32Array.from(MATRIX)));
});

test('data come back as .npy, byte for byte, with type, length and a strong ETag', async () => {
  const special = Float64Array.of(Number.NaN, -0, Number.POSITIVE_INFINITY, 5e-324, -1.5, 1e308);
  for (const body of [npy([3, 2], special, 'F'), npy([6], special), npy([0, 5], new Float64Array(0))]) {
    const { id } = await uploaded(body, NPY);
    const response = await download(id);
    assert.equal(response.status, 200);
    assert.equal(response.headers.get('content-type'), NPY);
    assert.equal(response.headers.get('content-length'), String(body.byteLength));
    assert.equal(response.headers.get('accept-ranges'), 'bytes');
    assert.equal(response.headers.get('etag'), `"${id}"`);
    assert.deepEqual(new Uint8Array(await response.arrayBuffer()), body);
  }
});

test('data come back as JSON and CSV in row order, whatever the order they are stored in', async () => {
  const values = Float64Array.of(1, 3, Number.NaN, 2, -0, Number.NEGATIVE_INFINITY);
  const { id } = await uploaded(npy([3, 2], values, 'F'), NPY);
  const json = await download(id, { Accept: 'application/json' });
  assert.equal(json.headers.get('content-type'), 'application/json');
  assert.equal(json.headers.get('etag'), `"${id}.json"`);
  assert.equal(await json.text(), '[[1,2],[3,-0],["NaN","-Infinity"]]');
  const csv = await download(id, { Accept: 'text/csv;q=1, application/json;q=0.5' });
  assert.match(csv.headers.get('content-type') ?? '', /^text\/csv/);
  assert.equal(csv.headers.get('etag'), `"${id}.csv"`);
  assert.equal(await csv.text(), '1,2\n3,-0\nNaN,-Infinity\n');
});

test('what cannot be offered is 406: another type, and a stack as CSV', async () => {
  const { id } = await uploaded(npy([3, 2], MATRIX), NPY);
  for (const accept of ['text/csv; charset=utf-8', 'text/csv;charset=UTF-8, */*;q=0.1']) {
    const named = await download(id, { Accept: accept });
    assert.equal(named.headers.get('content-type'), 'text/csv; charset=utf-8', accept);
    await named.arrayBuffer();
  }
  await assertProblem(await download(id, { Accept: 'text/html' }), 'not-acceptable');
  const stack = await uploaded(npy([1, 3, 2], MATRIX), NPY);
  await assertProblem(await download(stack.id, { Accept: 'text/csv' }), 'not-acceptable');
  assert.equal(
    await (await download(stack.id, { Accept: 'application/json' })).text(),
    '[[[1,2],[3,4],[5,6]]]',
  );
});

test('If-None-Match is 304 for the representation the client has, and for no other', async () => {
  const { id } = await uploaded(npy([3, 2], MATRIX), NPY);
  const cases = [
    [`"${id}"`, NPY, 304],
    [`W/"${id}"`, NPY, 304],
    [`"x", "${id}"`, NPY, 304],
    ['*', NPY, 304],
    [`"${id}"`, 'application/json', 200],
    [`"${id}.json"`, 'application/json', 304],
    [`"${id}.csv"`, 'text/csv', 304],
    ['"x"', NPY, 200],
  ] as const;
  for (const [tags, type, status] of cases) {
    const response = await download(id, { 'If-None-Match': tags, Accept: type });
    assert.equal(response.status, status, `${tags} ${type}`);
    if (status === 304) assert.equal(await response.text(), '');
    else await response.arrayBuffer();
  }
});

test('a range is cut out of the whole file, header included', async () => {
  const body = npy([3, 2], MATRIX);
  const size = body.byteLength;
  const { id } = await uploaded(body, NPY);
  const ranges = [
    ['bytes=0-0', 0, 1],
    ['bytes=10-', 10, size],
    ['bytes=-8', size - 8, size],
    [`bytes=${size - 48}-${size - 41}`, size - 48, size - 40],
    [`bytes=${size - 50}-99999`, size - 50, size],
    ['bytes=-99999', 0, size],
    ['bytes=100-135', 100, 136],
  ] as const;
  for (const [range, start, stop] of ranges) {
    const response = await download(id, { Range: range });
    assert.equal(response.status, 206, range);
    assert.equal(response.headers.get('content-range'), `bytes ${start}-${stop - 1}/${size}`);
    assert.equal(response.headers.get('content-length'), String(stop - start));
    assert.deepEqual(new Uint8Array(await response.arrayBuffer()), body.slice(start, stop), range);
  }
});

test('several ranges, malformed ones and those tied to another version give the whole', async () => {
  const body = npy([3, 2], MATRIX);
  const { id } = await uploaded(body, NPY);
  const headers = [
    { Range: 'bytes=0-1,4-5' },
    { Range: 'bytes=x' },
    { Range: 'bytes=5-2' },
    { Range: 'rows=0-1' },
    { Range: 'bytes=0-1', 'If-Range': '"other"' },
    { Range: 'bytes=0-1', 'If-Range': `W/"${id}"` },
    { Range: 'bytes=0-1', Accept: 'application/json' },
  ];
  for (const header of headers) {
    const response = await download(id, header);
    assert.equal(response.status, 200, JSON.stringify(header));
    assert.equal(response.headers.get('content-range'), null);
    await response.arrayBuffer();
  }
  const matching = await download(id, { Range: 'bytes=0-1', 'If-Range': `"${id}"` });
  assert.equal(matching.status, 206);
  assert.equal((await matching.arrayBuffer()).byteLength, 2);
});

test('a range outside is 416 and says the size', async () => {
  const body = npy([3, 2], MATRIX);
  const { id } = await uploaded(body, NPY);
  for (const range of [`bytes=${body.byteLength}-`, 'bytes=99999-', 'bytes=-0']) {
    const response = await download(id, { Range: range });
    assert.equal(response.headers.get('content-range'), `bytes */${body.byteLength}`);
    await assertProblem(response, 'range-not-satisfiable');
  }
});

test('HEAD says what GET would, without data, and ignores a range', async () => {
  const body = npy([3, 2], MATRIX);
  const { id } = await uploaded(body, NPY);
  const response = await get(`/v1/arrays/${id}/data`, { method: 'HEAD', headers: { Range: 'bytes=0-1' } });
  assert.equal(response.status, 200);
  assert.equal(response.headers.get('content-length'), String(body.byteLength));
  assert.equal(response.headers.get('etag'), `"${id}"`);
  assert.equal(await response.text(), '');
  const json = await get(`/v1/arrays/${id}/data`, {
    method: 'HEAD',
    headers: { Accept: 'application/json' },
  });
  assert.equal(json.headers.get('content-type'), 'application/json');
  assert.equal((await get(`/v1/arrays/${ABSENT_ID}/data`, { method: 'HEAD' })).status, 404);
  assert.equal((await get(`/v1/arrays/${id}`, { method: 'HEAD' })).status, 200);
});

test('every fault of an .npy body has its own code, and leaves nothing behind', async () => {
  const good = Buffer.from(npy([3, 2], MATRIX));
  const withHeader = (text: string) => {
    const head = Buffer.alloc(10 + text.length);
    head.write('\x93NUMPY\x01\x00', 0, 'latin1');
    head.writeUInt16LE(text.length, 8);
    head.write(text, 10, 'latin1');
    return new Uint8Array(Buffer.concat([head, good.subarray(-48)]));
  };
  const patched = (at: number, value: number) => {
    const copy = new Uint8Array(good);
    copy[at] = value;
    return copy;
  };
  const cases = [
    [new Uint8Array(Buffer.from('not numpy at all')), 'npy-bad-magic'],
    [new Uint8Array(0), 'npy-bad-magic'],
    [patched(6, 4), 'npy-version'],
    [patched(9, 0xff), 'npy-header-too-large'],
    [withHeader("{'descr': '<f8', 'fortran_order': False}"), 'npy-header-syntax'],
    [withHeader("{'descr': '<f8', 'fortran_order': False, 'shape': (True, 2), }"), 'npy-shape'],
    [withHeader("{'descr': '<f8', 'fortran_order': False, 'shape': (1, 1, 3, 2), }"), 'npy-rank'],
    [withHeader("{'descr': '|O', 'fortran_order': False, 'shape': (3, 2), }"), 'npy-dtype-unsupported'],
    [withHeader("{'descr': '<c16', 'fortran_order': False, 'shape': (3, 1), }"), 'npy-dtype-unsupported'],
    [withHeader("{'descr': '<f8', 'fortran_order': False, 'shape': (3, 3), }"), 'npy-size-mismatch'],
    [withHeader("{'descr': '<i8', 'fortran_order': False, 'shape': (3, 2), }"), 'npy-lossy-cast'],
  ] as const;
  for (const [body, code] of cases) {
    const response = await upload(body, NPY);
    await assertProblem(response, code);
  }
  assert.deepEqual(await temporaries(), []);
});

/** A chunked upload: no Content-Length tells where it ends. */
function uploadChunked(pieces: readonly Uint8Array[]): Promise<Response> {
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      for (const piece of pieces) controller.enqueue(piece);
      controller.close();
    },
  });
  const init = { method: 'POST', body, headers: { 'Content-Type': NPY }, duplex: 'half' };
  return get('/v1/arrays', init as RequestInit);
}

test('chunked uploads work, in pieces of any size, and end where the header says', async () => {
  const values = Float64Array.from({ length: 60 }, (_, i) => i);
  const body = npy([6, 10], values);
  const bytewise = Array.from(body, byte => Uint8Array.of(byte));
  const response = await uploadChunked(bytewise);
  assert.equal(response.status, 201);
  assert.equal(((await response.json()) as ArrayDocument).id, idOf('<f8 C 6,10\n', values));
  await assertProblem(await uploadChunked([body, Uint8Array.of(0)]), 'npy-trailing-data');
  await assertProblem(await uploadChunked([body.slice(0, -1)]), 'npy-truncated');
  await assertProblem(await uploadChunked([body.slice(0, 20)]), 'npy-truncated');
  assert.deepEqual(await temporaries(), []);
});

test('an array over the limit is refused by its header', async () => {
  const header = encodeNpyHeader({ shape: [2 ** 20, 2 ** 20], dtype: 'float64', order: 'C' });
  const problem = await assertProblem(await uploadChunked([header]), 'array-too-large');
  assert.equal(problem.requested, 2 ** 43);
  assert.ok((problem.limit ?? 0) > 0);
});

test('JSON and CSV that form no array are refused with their place', async () => {
  const ragged = await assertProblem(await upload('[[1,2],[3]]', 'application/json'), 'array-syntax');
  assert.equal(ragged.errors?.[0]?.pointer, '/1');
  const text = await assertProblem(await upload('[[1,"x"]]', 'application/json'), 'schema');
  assert.equal(text.errors?.[0]?.pointer, '/0/1');
  await assertProblem(await upload('[[1,1e999]]', 'application/json'), 'schema');
  await assertProblem(await upload('{"data":[1],"extra":1}', 'application/json'), 'schema');
  await assertProblem(await upload('{"data":[1],"dtype":"int8"}', 'application/json'), 'schema');
  await assertProblem(await upload('[[[[1]]]]', 'application/json'), 'array-syntax');
  await assertProblem(await upload('[[1,2]', 'application/json'), 'json-syntax');
  const csv = await assertProblem(await upload('1,2\n3,x\n', 'text/csv'), 'array-syntax');
  assert.match(csv.detail, /[Ll]ine 2/);
  assert.deepEqual(await temporaries(), []);
});

test('text bodies over the limit are 413, .npy has another limit', async () => {
  const long = `[${'1,'.repeat(JSON_BODY_BYTES_MAX / 2)}1]`;
  for (const type of ['application/json', 'text/csv']) {
    const problem = await assertProblem(await upload(long, type), 'body-too-large');
    assert.equal(problem.limit, JSON_BODY_BYTES_MAX);
  }
});

test('other media types and encodings are 415', async () => {
  await assertProblem(await upload('x', 'application/octet-stream'), 'media-type-unsupported');
  const response = await get('/v1/arrays', {
    method: 'POST',
    body: '[[1]]',
    headers: { 'Content-Type': 'application/json', 'Content-Encoding': 'gzip' },
  });
  await assertProblem(response, 'encoding-unsupported');
});

test('an aborted upload leaves nothing behind', async () => {
  const body = npy([1000, 1000], new Float64Array(1_000_000));
  await new Promise<void>(resolve => {
    const request = httpRequest(`${served.url}/v1/arrays`, {
      method: 'POST',
      headers: { 'Content-Type': NPY, 'Content-Length': body.byteLength },
    });
    request.on('error', () => resolve());
    request.write(body.subarray(0, 5_000_000), () => request.destroy());
  });
  for (let i = 0; i < 100 && (await temporaries()).length > 0; i += 1) {
    await new Promise(resolve => setTimeout(resolve, 20));
  }
  assert.deepEqual(await temporaries(), []);
});

test('arrays are listed newest first, in pages', async () => {
  const ids: string[] = [];
  for (let i = 0; i < 5; i += 1) {
    now += 1000;
    ids.unshift((await uploaded(`[[${i},${i},1000]]`, 'application/json')).id);
  }
  const seen: string[] = [];
  let cursor: string | null = '';
  while (cursor !== null && seen.length < 5) {
    const query: string = cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`;
    const page = (await (await get(`/v1/arrays?limit=2${query}`)).json()) as {
      data: ArrayDocument[];
      nextCursor: string | null;
    };
    assert.ok(page.data.length <= 2);
    assert.ok(page.data.every(array => array.links.self === `/v1/arrays/${array.id}`));
    seen.push(...page.data.map(array => array.id));
    cursor = page.nextCursor;
  }
  assert.deepEqual(seen.slice(0, 5), ids);
});

test('a query that makes no sense is 400', async () => {
  const queries = [
    'limit=0',
    'limit=501',
    'limit=-1',
    'limit=x',
    'limit=',
    'limit=1.5',
    'limit=1&limit=2',
    'cursor=x',
  ];
  for (const query of queries) {
    await assertProblem(await get(`/v1/arrays?${query}`), 'query-invalid');
  }
});

test('what is absent is 404 for every method, and the answer does not repeat the id', async () => {
  const bodies = new Set<string>();
  for (const id of [ABSENT_ID, 'x', 'F'.repeat(64), `${ABSENT_ID}0`, '..%2f..%2fetc', '__proto__']) {
    for (const [path, method] of [
      [`/v1/arrays/${id}`, 'GET'],
      [`/v1/arrays/${id}/data`, 'GET'],
      [`/v1/arrays/${id}`, 'DELETE'],
    ] as const) {
      const { instance: _, ...problem } = await assertProblem(await get(path, { method }), 'not-found');
      bodies.add(JSON.stringify(problem));
    }
  }
  assert.equal(bodies.size, 1, 'byte for byte alike');
});

test('a deleted array is gone; deleting it again is 404', async () => {
  const { id } = await uploaded('[[1,2,3,4,5,6,7]]', 'application/json');
  const response = await get(`/v1/arrays/${id}`, { method: 'DELETE' });
  assert.equal(response.status, 204);
  assert.equal(await response.text(), '');
  await assertProblem(await get(`/v1/arrays/${id}`), 'not-found');
  await assertProblem(await download(id), 'not-found');
  await assertProblem(await get(`/v1/arrays/${id}`, { method: 'DELETE' }), 'not-found');
  assert.equal((await upload('[[1,2,3,4,5,6,7]]', 'application/json')).status, 201, 'and may come again');
});

test('an array that an unfinished job needs is 409, until the job ends', async () => {
  const { id } = await uploaded('[[2,3,5]]', 'application/json');
  const jobId = '01JDC0000000000000000000AA';
  const spec: JobSpec = {
    version: 1,
    id: jobId,
    tenant: 'default',
    operation: 'jvp',
    expression: 'A*W',
    wrt: 'W',
    operands: {
      A: { shape: { rows: 1, cols: 3 }, source: { array: id, dtype: 'float64', order: 'C' } },
      W: { shape: { rows: 3, cols: 1 } },
    },
    direction: { shape: { rows: 3, cols: 1 } },
    dtype: 'float64',
    reproducible: false,
    seed: 0,
    labels: {},
    priority: 0,
    expiresIn: 86_400,
    createdAt: new Date(now).toISOString(),
    blockLimits: { bytes: 1, flops: '1', workingSetBytes: 1 },
  };
  await createOpenJobs(store).add('default', jobId);
  await jobs.createSpec(spec);
  await assertProblem(await get(`/v1/arrays/${id}`, { method: 'DELETE' }), 'array-in-use');
  assert.equal((await get(`/v1/arrays/${id}`)).status, 200);
  const time = new Date(now).toISOString();
  await jobs.putOutcome(
    { tenant: 'default', id: jobId },
    {
      version: 1,
      state: 'cancelled',
      finishedAt: time,
      expiresAt: time,
    },
  );
  assert.equal((await get(`/v1/arrays/${id}`, { method: 'DELETE' })).status, 204);
});

test('an expired array is absent', async () => {
  const { id } = await uploaded('[[9,9,9]]', 'application/json');
  now += ARRAY_RETENTION_SECONDS * 1000 + 1;
  await assertProblem(await get(`/v1/arrays/${id}`), 'not-found');
  assert.equal((await upload('[[9,9,9]]', 'application/json')).status, 201);
});

test('data that changed in the store break the answer off', async () => {
  const values = new Float64Array(1_000_000).fill(1);
  const { id } = await uploaded(npy([1000, 1000], values), NPY);
  const path = join(folder, 'objects', 'tenants', 'default', 'arrays', id);
  const file = await import('node:fs/promises').then(fs => fs.open(path, 'r+'));
  await file.write(Buffer.from([1, 2, 3]), 0, 3, 6_000_000);
  await file.close();
  const response = await download(id);
  await assert.rejects(response.arrayBuffer());
  const untouched = await download(id, { Range: 'bytes=128-1127' });
  assert.equal(untouched.status, 206, 'a range costs and checks what it touches');
  assert.equal((await untouched.arrayBuffer()).byteLength, 1000);
  await writeFile(path, 'no longer an array');
  assert.ok((await download(id)).status >= 400);
});
