// Requests, well-formed and not: methods, paths, headers and bodies that mean something somewhere, put together at random.

import fc from 'fast-check';

const ID = 'a'.repeat(64);
const JOB = '01JDC0000000000000000000AA';

const segment = fc.oneof(
  fc.constantFrom(
    ID,
    JOB,
    '..',
    '.',
    '%00',
    '%2e%2e',
    '%',
    '%ff',
    '__proto__',
    'constructor',
    '0',
    '-1',
    '*',
  ),
  fc.string({ maxLength: 20 }).map(text => encodeURIComponent(text.replaceAll(/[\ud800-\udfff]/g, '?'))),
);
const path = fc.oneof(
  fc.constantFrom('/', '*', '//', '/v1', '/v1/arrays', '/v1/jobs', '/v1/plan', '/v1/system', '/readyz'),
  fc.constantFrom('http://x/v1/arrays', '/v1/arrays/', '/v1/jobs?limit=', '/v1/jobs?state=x&label=', '/?%'),
  segment.map(id => `/v1/arrays/${id}`),
  segment.map(id => `/v1/arrays/${id}/data`),
  fc
    .tuple(segment, fc.constantFrom('', '/result', '/result/blocks', '/cancel'))
    .map(([id, rest]) => `/v1/jobs/${id}${rest}`),
  fc.tuple(segment, segment).map(([id, index]) => `/v1/jobs/${id}/result/blocks/${index}`),
);
const method = fc.constantFrom(
  'GET',
  'HEAD',
  'POST',
  'DELETE',
  'PUT',
  'OPTIONS',
  'TRACE',
  'PROPFIND',
  'CONNECT',
  'get',
  'X',
);
const visible = fc.stringMatching(/^[ -~]{0,40}$/);
const header = fc.oneof(
  fc.constantFrom(
    'Content-Type: application/json',
    'Content-Type: application/x-npy',
    'Content-Type: text/csv',
    'Content-Type: multipart/form-data; boundary=x',
    'Content-Type: multipart/form-data',
    'Content-Encoding: gzip',
    'Expect: 100-continue',
    'Upgrade: websocket',
    'Transfer-Encoding: chunked',
    'Content-Length: 999999999999999999999',
    'Accept: text/csv',
    'Range: bytes=0-',
    'Prefer: wait=0',
  ),
  fc
    .tuple(
      fc.constantFrom('Accept', 'Range', 'If-None-Match', 'If-Range', 'Prefer', 'Content-Type', 'Cookie'),
      visible,
    )
    .map(([name, value]) => `${name}: ${value}`),
);
const jobLike = fc.record(
  {
    operation: fc.constantFrom('jvp', 'vjp', 'value', 'jacobian', 'check', 'x'),
    expression: fc.oneof(
      fc.constantFrom('A*W', 'A*W+B', "A'", '((', '1e999*W', '__proto__'),
      fc.string({ maxLength: 30 }),
    ),
    wrt: fc.constantFrom('W', 'A', 'constructor', ''),
    operands: fc.dictionary(
      fc.constantFrom('A', 'W', 'B', 'toString', '__proto__'),
      fc.constantFrom<unknown>(
        ID,
        { shape: [2, 2] },
        { shape: [1e15, 1e15] },
        { shape: [0, 3] },
        { shape: [] },
        {
          data: [
            [1, 2],
            [3, 4],
          ],
        },
        { data: [[1, 2], [3]] },
        { data: {} },
        { part: 'p' },
        null,
      ),
    ),
    direction: fc.constantFrom<unknown>(
      {
        data: [
          [1, 2],
          [3, 4],
        ],
      },
      { data: 'NaN' },
      { data: [[[1]]] },
      { shape: [2, 2] },
    ),
    jacobian: fc.constantFrom<unknown>(
      { columns: [0, 1] },
      { columns: [5, 2] },
      { columns: [0, 2 ** 53] },
      {},
    ),
    dtype: fc.constantFrom('float64', 'float32', 'int8'),
    priority: fc.constantFrom<unknown>(0, 9, 10, -1, 0.5, '1'),
    expiresIn: fc.constantFrom(60, 1, 2 ** 40),
  },
  { requiredKeys: [] },
);
const body = fc.oneof(
  fc.constantFrom(
    '',
    '{}',
    '[]',
    'null',
    '[[1,2],[3,4]]',
    '1,2\n3,4\n',
    '\x93NUMPY\x01\x00\xff\xff',
    '[1e999]',
    '-',
  ),
  jobLike.map(job => JSON.stringify(job)),
  fc.json({ maxDepth: 3 }),
  fc.string({ maxLength: 100 }),
  jobLike.map(
    job => `--x\r\nContent-Disposition: form-data; name="job"\r\n\r\n${JSON.stringify(job)}\r\n--x--\r\n`,
  ),
);

/** The bytes of a request; with a length only where it is true. */
function bytesOf(line: string, headers: readonly string[], body: string, honest: boolean): Buffer {
  const bytes = Buffer.from(body);
  const length = honest && bytes.length > 0 ? [`Content-Length: ${bytes.length}`] : [];
  const head = [`${line} HTTP/1.1`, 'Host: a', 'Connection: close', ...headers, ...length].join('\r\n');
  return Buffer.concat([Buffer.from(`${head}\r\n\r\n`, 'latin1'), bytes]);
}

const wild = fc
  .record({ method, path, headers: fc.array(header, { maxLength: 4 }), body, honest: fc.boolean() })
  .map(({ method, path, headers, body, honest }) => bytesOf(`${method} ${path}`, headers, body, honest));
const reading = fc
  .record({ path, headers: fc.array(header, { maxLength: 2 }) })
  .map(({ path, headers }) => bytesOf(`GET ${path}`, headers, '', true));
const submitting = fc
  .record({
    path: fc.constantFrom('/v1/jobs', '/v1/plan', '/v1/arrays'),
    type: fc.constantFrom(
      'application/json',
      'application/json',
      'text/csv',
      'multipart/form-data; boundary=x',
    ),
    body,
  })
  .map(({ path, type, body }) => bytesOf(`POST ${path}`, [`Content-Type: ${type}`], body, true));
/** The bytes of one request. */
export const requestBytes: fc.Arbitrary<Buffer> = fc.oneof(wild, reading, {
  arbitrary: submitting,
  weight: 2,
});
