// HTTP itself: bytes that are no request, lengths that lie, headers that inject, methods and paths nobody has.

import { type HostileBytes, testHostileBytes } from './hostile.ts';

const post = (headers: string, body = '', path = '/v1/jobs') =>
  `POST ${path} HTTP/1.1\r\nHost: x\r\n${headers}\r\n\r\n${body}`;
const get = (path: string, headers = '') =>
  `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${headers}\r\n`;
const JSON_TYPE = 'Content-Type: application/json\r\nConnection: close';
const NPY = 'Content-Type: application/x-npy\r\nConnection: close';

const cases: readonly HostileBytes[] = [
  ['no HTTP at all', 'hello\r\n\r\n', 'http-syntax'],
  ['a TLS handshake', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n', 'http-syntax'],
  ['HTTP/2 without being asked', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'http-syntax'],
  ['HTTP/9.9', 'GET /livez HTTP/9.9\r\nHost: x\r\n\r\n', 'http-syntax'],
  ['a method of another alphabet', 'GËT /livez HTTP/1.1\r\nHost: x\r\n\r\n', 'http-syntax'],
  ['an unknown method', 'BREW /livez HTTP/1.1\r\nHost: x\r\n\r\n', 'http-syntax'],
  ['a proxy’s CONNECT', 'CONNECT example.org:443 HTTP/1.1\r\nHost: x\r\n\r\n', 'http-syntax'],
  ['no Host', 'GET /livez HTTP/1.1\r\n\r\n', 'http-syntax'],
  ['a header without a colon', 'GET /livez HTTP/1.1\r\nHost x\r\n\r\n', 'http-syntax'],
  ['a space before the colon', 'GET /livez HTTP/1.1\r\nHost : x\r\n\r\n', 'http-syntax'],
  ['a null byte in a header', 'GET /livez HTTP/1.1\r\nHost: x\r\nX-A: a\x00b\r\n\r\n', 'http-syntax'],
  [
    'a carriage return alone in a header',
    'GET /livez HTTP/1.1\r\nHost: x\r\nX-A: a\rX-B: b\r\n\r\n',
    'http-syntax',
  ],
  [
    'headers of 64 KiB',
    `GET /livez HTTP/1.1\r\nHost: x\r\nX-A: ${'a'.repeat(65_536)}\r\n\r\n`,
    'http-syntax',
  ],
  ['a URL of 10 KB', get(`/v1/jobs?x=${'a'.repeat(10_000)}`), 'uri-too-long'],
  ['a URL of 64 KiB', get(`/${'a'.repeat(65_536)}`), 'uri-too-long'],
  ['two lengths', post(`${JSON_TYPE}\r\nContent-Length: 2\r\nContent-Length: 3`, '{}'), 'http-syntax'],
  [
    'a length and chunks',
    post(`${JSON_TYPE}\r\nContent-Length: 2\r\nTransfer-Encoding: chunked`, '0\r\n\r\n'),
    'http-syntax',
  ],
  ['a negative length', post(`${JSON_TYPE}\r\nContent-Length: -1`, '{}'), 'http-syntax'],
  ['a hexadecimal length', post(`${JSON_TYPE}\r\nContent-Length: 0x2`, '{}'), 'http-syntax'],
  ['a length beyond 2^64', post(`${JSON_TYPE}\r\nContent-Length: 99999999999999999999`, '{}'), 'http-syntax'],
  ['a length with a plus', post(`${JSON_TYPE}\r\nContent-Length: +2`, '{}'), 'http-syntax'],
  [
    'a JSON body of a terabyte, announced',
    post(`${JSON_TYPE}\r\nContent-Length: 1099511627776`),
    'body-too-large',
  ],
  [
    'a batch of a terabyte, announced',
    post('Content-Type: application/x-ndjson\r\nContent-Length: 1099511627776', '', '/v1/batches'),
    'body-too-large',
  ],
  [
    'a chunk of bad length',
    post(`${JSON_TYPE}\r\nTransfer-Encoding: chunked`, 'zz\r\n{}\r\n0\r\n\r\n'),
    'http-syntax',
  ],
  [
    'a chunk longer than it says',
    post(`${JSON_TYPE}\r\nTransfer-Encoding: chunked`, '1\r\n{}\r\n0\r\n\r\n'),
    'http-syntax',
  ],
  [
    'a chunk length beyond 2^64',
    post(`${JSON_TYPE}\r\nTransfer-Encoding: chunked`, 'fffffffffffffffff\r\n'),
    'http-syntax',
  ],
  [
    'an encoding of transfer',
    post(`${JSON_TYPE}\r\nTransfer-Encoding: gzip, chunked`, '0\r\n\r\n'),
    'encoding-unsupported',
  ],
  [
    'an unknown expectation',
    post(`${JSON_TYPE}\r\nExpect: teapot\r\nContent-Length: 2`, '{}'),
    'expectation-failed',
  ],
  ['an upgrade to a socket', get('/v1/nothing', 'Upgrade: websocket\r\n'), 'not-found'],
  ['a path that climbs', get('/../../etc/passwd'), 'not-found'],
  ['a path that climbs, encoded', get('/v1/arrays/..%2f..%2f..%2fetc%2fpasswd'), 'not-found'],
  ['a path that climbs, encoded twice', get('/v1/arrays/%252e%252e%252f'), 'not-found'],
  ['a path with backslashes', get('/v1\\jobs'), 'not-found'],
  ['a path with a null byte', get('/v1/jobs/%00'), 'not-found'],
  ['a path that does not decode', get('/v1/jobs/%'), 'http-syntax'],
  ['a path that is no UTF-8', get('/v1/jobs/%ff'), 'http-syntax'],
  ['a path with a line end', get('/v1/jobs/a%0d%0aSet-Cookie:%20x'), 'not-found'],
  ['a slash at the end', get('/v1/jobs/'), 'not-found'],
  ['two slashes', get('//v1/jobs'), 'not-found'],
  ['capitals', get('/V1/JOBS'), 'not-found'],
  ['a job that is the prototype', get('/v1/jobs/__proto__'), 'not-found'],
  ['a job that is a dot', get('/v1/jobs/%2e'), 'not-found'],
  ['an array that is two dots', get('/v1/arrays/%2e%2e'), 'not-found'],
  ['the metrics of the admin listener', get('/metrics'), 'not-found'],
  ['a file of the page', get('/docs/..%2f..%2fpackage.json'), 'not-found'],
  ['a file beside the page', get('/docs/index.html'), 'not-found'],
  ['an absolute URL of another host', get('http://169.254.169.254/latest'), 'not-found'],
  [
    'an upload without a type',
    post('Content-Length: 2\r\nConnection: close', '{}', '/v1/arrays'),
    'media-type-unsupported',
  ],
  ['an empty .npy', post(`${NPY}\r\nContent-Length: 0`, '', '/v1/arrays'), 'npy-bad-magic'],
];

testHostileBytes(cases);
