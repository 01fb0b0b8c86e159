// Bodies of every other kind: .npy headers, CSV, multipart, batches; and what a client may ask about things that exist.

import type { ErrorCode } from '../../../shared/errors.ts';
import { JSON_BODY_BYTES_MAX } from '../../../shared/job/limits.ts';
import { postJson } from '../gateway.ts';
import { type HostileCase, type HostileRequest, json, testHostile } from './hostile.ts';

const MAGIC = '\x93NUMPY';

/** A .npy file with this text for its header. */
function npy(header: string, data: Uint8Array = new Uint8Array(16), version = '\x01\x00'): Buffer {
  const length = Buffer.alloc(version.startsWith('\x01') ? 2 : 4);
  if (length.length === 2) length.writeUInt16LE(header.length);
  else length.writeUInt32LE(header.length);
  return Buffer.concat([Buffer.from(MAGIC + version, 'latin1'), length, Buffer.from(header, 'latin1'), data]);
}

const header = (descr: string, order: string, shape: string) =>
  `{'descr': ${descr}, 'fortran_order': ${order}, 'shape': ${shape}, }\n`;
const float64 = (shape: string) => header("'<f8'", 'False', shape);

/** An object with so many names. */
const manyNames = (count: number) => `{${Array.from({ length: count }, (_, i) => `"${i}":0`).join(',')}}`;

const upload = (body: string | Uint8Array, type = 'application/x-npy'): HostileRequest => ({
  method: 'POST',
  path: '/v1/arrays',
  headers: { 'Content-Type': type },
  body,
});

const npyFiles: readonly (readonly [string, Uint8Array, ErrorCode])[] = [
  ['a picture', Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'), 'npy-bad-magic'],
  ['an .npz', Buffer.from('PK\x03\x04aaaaaaaa', 'latin1'), 'npy-bad-magic'],
  ['version 0', npy(float64('(2,)'), undefined, '\x00\x00'), 'npy-version'],
  ['version 9', npy(float64('(2,)'), undefined, '\x09\x00'), 'npy-version'],
  ['version 1.1', npy(float64('(2,)'), undefined, '\x01\x01'), 'npy-version'],
  [
    'a header of four gigabytes',
    Buffer.from(`${MAGIC}\x02\x00\xff\xff\xff\xff`, 'latin1'),
    'npy-header-too-large',
  ],
  ['a header of 10,001 bytes', npy(float64('(2,)').padEnd(10_001)), 'npy-header-too-large'],
  ['only the magic', Buffer.from(MAGIC, 'latin1'), 'npy-truncated'],
  ['a header that is cut', npy(float64('(2,)')).subarray(0, 40), 'npy-truncated'],
  ['an empty header', npy(''), 'npy-header-syntax'],
  ['a header that is code', npy('__import__("os").system("id")'), 'npy-header-syntax'],
  ['a header that is a list', npy('[]'), 'npy-header-syntax'],
  ['a header without shape', npy("{'descr': '<f8', 'fortran_order': False, }"), 'npy-header-syntax'],
  [
    'a header with a key too many',
    npy("{'descr': '<f8', 'fortran_order': False, 'shape': (2,), 'x': 1}"),
    'npy-header-syntax',
  ],
  [
    'a key twice',
    npy("{'descr': '<f8', 'descr': '<f4', 'fortran_order': False, 'shape': (2,)}"),
    'npy-header-syntax',
  ],
  ['a header in JSON', npy('{"descr": "<f8", "fortran_order": false, "shape": [2]}'), 'npy-header-syntax'],
  ['something after the header', npy(`${float64('(2,)').trim()} + x`), 'npy-header-syntax'],
  ['an order that is 1', npy(header("'<f8'", '1', '(2,)')), 'npy-header-syntax'],
  ['a shape of text', npy(float64("('2',)")), 'npy-shape'],
  ['a shape that is true', npy(float64('(True,)')), 'npy-shape'],
  ['a negative side', npy(float64('(-2,)')), 'npy-shape'],
  ['a fractional side', npy(float64('(2.0,)')), 'npy-shape'],
  ['a side of 10^30', npy(float64(`(1${'0'.repeat(30)},)`)), 'npy-shape'],
  ['sides whose product wraps 2^64', npy(float64('(4294967296, 4294967296)')), 'npy-size-mismatch'],
  ['rank four', npy(float64('(1, 1, 1, 2)')), 'npy-rank'],
  ['rank ten thousand', npy(float64(`(${'1,'.repeat(4_000)})`)), 'npy-rank'],
  ['objects', npy(header("'|O'", 'False', '(2,)')), 'npy-dtype-unsupported'],
  ['strings', npy(header("'<U8'", 'False', '(2,)')), 'npy-dtype-unsupported'],
  ['complex numbers', npy(header("'<c16'", 'False', '(1,)')), 'npy-dtype-unsupported'],
  ['a structure', npy(header("[('a', '<f8')]", 'False', '(2,)')), 'npy-dtype-unsupported'],
  ['extended precision', npy(header("'<f16'", 'False', '(1,)')), 'npy-dtype-unsupported'],
  ['an unknown dtype', npy(header("'<q9'", 'False', '(2,)')), 'npy-dtype-unsupported'],
  ['fewer data than announced', npy(float64('(3,)')), 'npy-size-mismatch'],
  ['more data than announced', npy(float64('(1,)')), 'npy-size-mismatch'],
  ['a terabyte announced', npy(float64('(131072, 1048576)')), 'npy-size-mismatch'],
  [
    'an integer beyond 2^53',
    npy(header("'<i8'", 'False', '(2,)'), new Uint8Array(16).fill(0x7f)),
    'npy-lossy-cast',
  ],
];

const texts: readonly (readonly [string, string, string, ErrorCode])[] = [
  ['CSV with words', '1,2\nx,y\n', 'text/csv', 'array-syntax'],
  ['CSV with ragged rows', '1,2\n3\n', 'text/csv', 'array-syntax'],
  ['CSV with a formula', '=cmd|calc,1\n', 'text/csv', 'array-syntax'],
  ['CSV with an empty cell', '1,,2\n', 'text/csv', 'array-syntax'],
  ['CSV in UTF-16', '1,2', 'text/csv; charset=utf-16', 'media-type-unsupported'],
  ['JSON that is ragged', '[[1,2],[3]]', 'application/json', 'array-syntax'],
  ['JSON with another property', '{"data":[1],"shape":[1]}', 'application/json', 'schema'],
  ['JSON with a bad dtype', '{"data":[1],"dtype":"int8"}', 'application/json', 'schema'],
  ['JSON a hundred thousand deep', '['.repeat(100_000) + ']'.repeat(100_000), 'application/json', 'schema'],
  ['JSON of 4 MiB that only opens', '['.repeat(JSON_BODY_BYTES_MAX), 'application/json', 'schema'],
  ['JSON of a million empty lists', `[${'[],'.repeat(1_000_000)}[]]`, 'application/json', 'schema'],
  ['JSON of two million numbers', `[${'1,'.repeat(2_000_000)}1]`, 'application/json', 'schema'],
  ['JSON of many numbers and no end', `[${'1,'.repeat(500_000)}`, 'application/json', 'json-syntax'],
  ['JSON that never closes', '['.repeat(3), 'application/json', 'json-syntax'],
  ['JSON of rank four', '[[[[1]]]]', 'application/json', 'array-syntax'],
  ['JSON with its data twice', '{"data":[1],"data":[2]}', 'application/json', 'schema'],
  ['JSON with a prototype', '{"data":[1],"__proto__":{"dtype":"float32"}}', 'application/json', 'schema'],
  ['JSON with ten thousand names', manyNames(10_000), 'application/json', 'schema'],
  ['HTML', '<h1>', 'text/html', 'media-type-unsupported'],
  ['a form', 'a=1', 'application/x-www-form-urlencoded', 'media-type-unsupported'],
  ['a pickle', '\x80\x04.', 'application/octet-stream', 'media-type-unsupported'],
  ['a type with a line of its own', '1', 'application/json;\tcharset=latin1', 'media-type-unsupported'],
];

const part = (name: string, body: string, more = '') =>
  `--b\r\nContent-Disposition: form-data; name="${name}"${more}\r\n\r\n${body}\r\n`;
const multipart = (body: string, type = 'multipart/form-data; boundary=b'): HostileRequest => ({
  method: 'POST',
  path: '/v1/jobs',
  headers: { 'Content-Type': type },
  body,
});
const VALUE = '{"operation":"value","operands":{"A":{"part":"a"},"W":{"data":[[1]]}}}';

const forms: readonly (readonly [string, HostileRequest, ErrorCode])[] = [
  ['no boundary', multipart('', 'multipart/form-data'), 'multipart-syntax'],
  ['an empty boundary', multipart('', 'multipart/form-data; boundary='), 'multipart-syntax'],
  [
    'a boundary of 71 characters',
    multipart('', `multipart/form-data; boundary=${'b'.repeat(71)}`),
    'multipart-syntax',
  ],
  ['no part', multipart('--b--\r\n'), 'multipart-syntax'],
  ['no end', multipart(part('job', VALUE)), 'multipart-syntax'],
  ['another boundary', multipart('--c\r\n\r\n--c--'), 'multipart-syntax'],
  ['no job', multipart(`${part('a', '1')}--b--`), 'npy-bad-magic'],
  ['two jobs', multipart(`${part('job', VALUE)}${part('job', VALUE)}--b--`), 'multipart-syntax'],
  [
    'a part without a name',
    multipart('--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--'),
    'multipart-syntax',
  ],
  ['a part without headers', multipart('--b\r\n\r\nx\r\n--b--'), 'multipart-syntax'],
  [
    'part headers of 32 KiB',
    multipart(`--b\r\nX: ${'a'.repeat(32_768)}\r\n\r\nx\r\n--b--`),
    'multipart-syntax',
  ],
  [
    'a part in base64',
    multipart(
      '--b\r\nContent-Disposition: form-data; name="a"\r\nContent-Transfer-Encoding: base64\r\n\r\nAA==\r\n--b--',
    ),
    'encoding-unsupported',
  ],
  ['a job that is no JSON', multipart(`${part('job', 'x')}--b--`), 'json-syntax'],
  [
    'a job that is a file of another type',
    multipart(
      '--b\r\nContent-Disposition: form-data; name="job"\r\nContent-Type: image/png\r\n\r\n{}\r\n--b--',
    ),
    'media-type-unsupported',
  ],
  ['a job of 17 MiB', multipart(`${part('job', ' '.repeat(17 * 1024 * 1024))}--b--`), 'body-too-large'],
  ['an operand without its part', multipart(`${part('job', VALUE)}--b--`), 'operand-unknown'],
  [
    'sixty-five arrays',
    multipart(
      Array.from(
        { length: 65 },
        (_, i) =>
          `--b\r\nContent-Disposition: form-data; name="p${i}"\r\nContent-Type: application/json\r\n\r\n1\r\n`,
      ).join('') + '--b--',
    ),
    'multipart-syntax',
  ],
  [
    'a file name that climbs',
    multipart(`${part('../../a', '1', '; filename="../../../etc/passwd"')}--b--`),
    'npy-bad-magic',
  ],
];

const batch = (body: string, headers: Record<string, string> = {}): HostileRequest => ({
  method: 'POST',
  path: '/v1/batches',
  headers: { 'Content-Type': 'application/x-ndjson', ...headers },
  body,
});
const LINE = '{"operation":"value","operands":{"A":{"data":1},"W":{"data":1}}}';

const batches: readonly (readonly [string, HostileRequest, ErrorCode])[] = [
  ['nothing', batch(''), 'schema'],
  ['blank lines', batch('\n \r\n\t\n'), 'schema'],
  ['JSON instead of lines', batch(LINE, { 'Content-Type': 'application/json' }), 'media-type-unsupported'],
  ['compressed lines', batch(LINE, { 'Content-Encoding': 'gzip' }), 'encoding-unsupported'],
  ['an empty idempotency key', batch(LINE, { 'Idempotency-Key': '' }), 'http-syntax'],
  [
    'an idempotency key of 256 characters',
    batch(LINE, { 'Idempotency-Key': 'k'.repeat(256) }),
    'http-syntax',
  ],
];

const about = ({ array, job, batchId }: Readonly<Record<string, string>>): readonly HostileCase[] => [
  [
    'a range past the end',
    { path: `/v1/arrays/${array}/data`, headers: { Range: 'bytes=1000000-' } },
    'range-not-satisfiable',
  ],
  [
    'a range of nothing',
    { path: `/v1/arrays/${array}/data`, headers: { Range: 'bytes=-0' } },
    'range-not-satisfiable',
  ],
  [
    'a range beyond 2^64',
    { path: `/v1/arrays/${array}/data`, headers: { Range: 'bytes=99999999999999999999-' } },
    'range-not-satisfiable',
  ],
  [
    'a picture of an array',
    { path: `/v1/arrays/${array}/data`, headers: { Accept: 'image/png' } },
    'not-acceptable',
  ],
  [
    'an accepted type of nonsense',
    { path: `/v1/arrays/${array}/data`, headers: { Accept: ';;;' } },
    'not-acceptable',
  ],
  [
    'events as JSON',
    { path: `/v1/jobs/${job}/events`, headers: { Accept: 'application/json' } },
    'not-acceptable',
  ],
  [
    'lines as HTML',
    { path: `/v1/batches/${batchId}/jobs`, headers: { Accept: 'text/html' } },
    'not-acceptable',
  ],
  ['a result too early', { path: `/v1/jobs/${job}/result` }, 'job-not-finished'],
  ['deleting too early', { method: 'DELETE', path: `/v1/jobs/${job}` }, 'job-not-finished'],
  ['a block that is not there', { path: `/v1/jobs/${job}/result/blocks/0` }, 'not-found'],
  ['a block that is a path', { path: `/v1/jobs/${job}/result/blocks/..%2f..` }, 'not-found'],
  ['a block of minus one', { path: `/v1/jobs/${job}/result/blocks/-1` }, 'not-found'],
  ['a block of 10^30', { path: `/v1/jobs/${job}/result/blocks/1${'0'.repeat(30)}` }, 'not-found'],
  ['writing a job', { method: 'PUT', path: `/v1/jobs/${job}` }, 'method-not-allowed'],
  ['patching an array', { method: 'PATCH', path: `/v1/arrays/${array}` }, 'method-not-allowed'],
  ['deleting a batch', { method: 'DELETE', path: `/v1/batches/${batchId}` }, 'method-not-allowed'],
  ['deleting all jobs', { method: 'DELETE', path: '/v1/jobs' }, 'method-not-allowed'],
  ['cancelling by GET', { path: `/v1/jobs/${job}/cancel` }, 'method-not-allowed'],
  ['posting to the description', { method: 'POST', path: '/openapi.json' }, 'method-not-allowed'],
  ['asking for the head of a job that is not', { method: 'HEAD', path: '/v1/jobs/x' }, 'not-found'],
  ['a page of no jobs', { path: '/v1/jobs?limit=0' }, 'query-invalid'],
  ['a page of all jobs', { path: '/v1/jobs?limit=1000000000' }, 'query-invalid'],
  ['a limit of NaN', { path: '/v1/jobs?limit=NaN' }, 'query-invalid'],
  ['two limits', { path: '/v1/jobs?limit=1&limit=2' }, 'query-invalid'],
  ['a cursor that is a path', { path: '/v1/jobs?cursor=../..' }, 'query-invalid'],
  ['a cursor of arrays for jobs', { path: `/v1/jobs?cursor=0000000000-${'f'.repeat(64)}` }, 'query-invalid'],
  ['an unknown state', { path: '/v1/jobs?state=dead' }, 'query-invalid'],
  ['a label without a colon', { path: '/v1/jobs?label=run' }, 'query-invalid'],
  ['a cursor of jobs for arrays', { path: '/v1/arrays?cursor=01JE0000000000000000000000' }, 'query-invalid'],
  ['an idempotency key of spaces', json('/v1/jobs', LINE, { 'Idempotency-Key': 'a b' }), 'http-syntax'],
  ['a compressed job', json('/v1/jobs', LINE, { 'Content-Encoding': 'gzip' }), 'encoding-unsupported'],
  [
    'a compressed upload',
    {
      ...upload(npy(float64('(2,)'))),
      headers: { 'Content-Type': 'application/x-npy', 'Content-Encoding': 'br' },
    },
    'encoding-unsupported',
  ],
];

testHostile(
  prepared => [
    ...npyFiles.map(([what, body, code]): HostileCase => [`.npy: ${what}`, upload(body), code]),
    ...texts.map(([what, body, type, code]): HostileCase => [`text: ${what}`, upload(body, type), code]),
    ...forms.map(([what, request, code]): HostileCase => [`a form: ${what}`, request, code]),
    ...batches.map(([what, request, code]): HostileCase => [`a batch: ${what}`, request, code]),
    ...about(prepared).map(([what, request, code]): HostileCase => [`asking: ${what}`, request, code]),
  ],
  ['array', 'job', 'batchId'],
  async ({ url }) => {
    const idOf = async (response: Response) => ((await response.json()) as { id: string }).id;
    return {
      array: await idOf(await postJson(`${url}/v1/arrays`, [[1, 2]])),
      job: await idOf(await postJson(`${url}/v1/jobs`, LINE)),
      batchId: await idOf(await fetch(`${url}/v1/batches`, batch(LINE))),
    };
  },
);
