import assert from 'node:assert/strict';
import { test } from 'node:test';
import { multipartBoundary, readMultipart } from '../../../api/http/multipart.ts';

const BOUNDARY = 'cut here';

function body(...lines: string[]): Buffer {
  return Buffer.from(lines.join('\r\n'), 'latin1');
}

async function* inPieces(bytes: Buffer, size: number): AsyncGenerator<Uint8Array> {
  for (let start = 0; start < bytes.length; start += size) yield bytes.subarray(start, start + size);
}

async function readAll(bytes: Buffer, size = bytes.length) {
  const parts: { name: string; mediaType: string | undefined; text: string }[] = [];
  for await (const { name, mediaType, body: content } of readMultipart(inPieces(bytes, size), BOUNDARY)) {
    const pieces: Uint8Array[] = [];
    for await (const piece of content) pieces.push(piece);
    parts.push({ name, mediaType, text: Buffer.concat(pieces).toString('latin1') });
  }
  return parts;
}

const TWO_PARTS = body(
  'preamble to ignore',
  '--cut here',
  'Content-Disposition: form-data; name="job"',
  'Content-Type: Application/JSON; charset=utf-8',
  '',
  '{"a":1}',
  '--cut here \t',
  'content-disposition: form-data; filename="a; name=wrong"; name=A',
  '',
  '\x93NUMPY\r\n--cut her\x00\xff\r\n\r\n',
  '--cut here--',
  'epilogue to ignore',
);

test('parts arrive whole and byte for byte, however the body is cut into pieces', async () => {
  const expected = [
    { name: 'job', mediaType: 'application/json', text: '{"a":1}' },
    { name: 'A', mediaType: undefined, text: '\x93NUMPY\r\n--cut her\x00\xff\r\n\r\n' },
  ];
  for (let size = 1; size <= TWO_PARTS.length; size += 1) {
    assert.deepEqual(await readAll(TWO_PARTS, size), expected, `pieces of ${size} bytes`);
  }
});

test('what FormData sends is read back', async () => {
  const form = new FormData();
  const bytes = Uint8Array.from({ length: 100_000 }, (_, index) => (index * 37) % 256);
  form.set('A', new Blob([bytes], { type: 'application/x-npy' }), 'a.npy');
  form.set('job', '{}');
  const response = new Response(form);
  const boundary = multipartBoundary(response.headers.get('content-type') ?? '');
  const seen = new Map<string, Buffer>();
  for await (const part of readMultipart(response.body ?? inPieces(Buffer.alloc(0), 1), boundary)) {
    const pieces: Uint8Array[] = [];
    for await (const piece of part.body) pieces.push(piece);
    seen.set(`${part.name} ${part.mediaType}`, Buffer.concat(pieces));
  }
  assert.deepEqual([...seen.keys()], ['A application/x-npy', 'job undefined']);
  assert.ok(seen.get('A application/x-npy')?.equals(bytes));
});

test('a part that nobody reads, or reads half, is skipped', async () => {
  const names: string[] = [];
  for await (const part of readMultipart(inPieces(TWO_PARTS, 7), BOUNDARY)) {
    names.push(part.name);
    for await (const _ of part.body) break;
  }
  assert.deepEqual(names, ['job', 'A']);
  const unread: string[] = [];
  for await (const part of readMultipart(inPieces(TWO_PARTS, 7), BOUNDARY)) unread.push(part.name);
  assert.deepEqual(unread, ['job', 'A']);
});

test('an empty part and a form without parts are what they are', async () => {
  const empty = body('--cut here', 'Content-Disposition: form-data; name="A"', '', '', '--cut here--');
  assert.deepEqual(await readAll(empty), [{ name: 'A', mediaType: undefined, text: '' }]);
  assert.deepEqual(await readAll(body('--cut here--')), []);
});

test('quotes in a name are unescaped, and names may hold any UTF-8', async () => {
  const bytes = Buffer.from(
    '--cut here\r\nContent-Disposition: form-data; name="\\"é\\""\r\n\r\n\r\n--cut here--',
  );
  assert.equal((await readAll(bytes))[0]?.name, '"é"');
});

const FAULTS: Record<string, { bytes: Buffer; code: string }> = {
  'the end comes before any boundary': { bytes: body('nothing'), code: 'multipart-syntax' },
  'the end comes inside a part': { bytes: TWO_PARTS.subarray(0, -40), code: 'multipart-syntax' },
  'the end comes inside the headers': {
    bytes: body('--cut here', 'Content-Disp'),
    code: 'multipart-syntax',
  },
  'a boundary is followed by text': {
    bytes: body('--cut here!', 'Content-Disposition: form-data; name="A"', '', '', '--cut here--'),
    code: 'multipart-syntax',
  },
  'a header has no colon': { bytes: body('--cut here', 'nonsense', '', ''), code: 'multipart-syntax' },
  'a part has no headers': { bytes: body('--cut here', '', '', 'x'), code: 'multipart-syntax' },
  'a part has no name': {
    bytes: body('--cut here', 'Content-Disposition: form-data; filename="a"', '', ''),
    code: 'multipart-syntax',
  },
  'a part is an attachment': {
    bytes: body('--cut here', 'Content-Disposition: attachment; name="a"', '', ''),
    code: 'multipart-syntax',
  },
  'a part has no media type to speak of': {
    bytes: body('--cut here', 'Content-Disposition: form-data; name="a"', 'Content-Type: ??', '', ''),
    code: 'multipart-syntax',
  },
  'headers go on and on': {
    bytes: body('--cut here', ...Array.from({ length: 2000 }, () => 'x-filler: yes'), '', ''),
    code: 'multipart-syntax',
  },
  'a part is in base64': {
    bytes: body(
      '--cut here',
      'Content-Disposition: form-data; name="a"',
      'Content-Transfer-Encoding: BASE64',
      '',
      '',
    ),
    code: 'encoding-unsupported',
  },
};

for (const [name, { bytes, code }] of Object.entries(FAULTS)) {
  test(`${code} where ${name}`, async () => {
    for (const size of [1, 5, bytes.length]) await assert.rejects(readAll(bytes, size), { code });
  });
}

test('the boundary is taken from the Content-Type, quoted or not', () => {
  assert.equal(multipartBoundary('multipart/form-data; boundary=abc'), 'abc');
  assert.equal(multipartBoundary('multipart/form-data; charset=utf-8; boundary="cut here"'), 'cut here');
  for (const bad of ['multipart/form-data', 'multipart/form-data; boundary=', 'x', '']) {
    assert.throws(() => multipartBoundary(bad), { code: 'multipart-syntax' });
  }
  assert.throws(() => multipartBoundary(`multipart/form-data; boundary=${'b'.repeat(71)}`), {
    code: 'multipart-syntax',
  });
});
