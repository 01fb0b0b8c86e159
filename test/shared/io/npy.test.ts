import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { type ArrayHeader, startArrayHash } from '../../../shared/io/array-header.ts';
import { decodeNpy, encodeNpyHeader, NPY_HEADER_BYTES_MAX, type NpyOptions } from '../../../shared/io/npy.ts';
import { collect, failsWith, pieces } from './streams.ts';

interface Expected extends ArrayHeader {
  readonly data: string;
  readonly id: string;
}

const FIXTURES = new URL('../../../../test/shared/io/fixtures/', import.meta.url);
const expected = JSON.parse(readFileSync(new URL('expected.json', FIXTURES), 'utf8')) as {
  files: Record<string, Expected>;
  headers: (ArrayHeader & { header: string })[];
};

function fixture(name: string): Buffer {
  return readFileSync(new URL(`${name}.npy`, FIXTURES));
}

async function decode(file: Uint8Array, pieceBytes = file.byteLength, options: NpyOptions = {}) {
  const { header, data } = await decodeNpy(pieces(file, pieceBytes), options);
  return { header, data: await collect(data) };
}

/** A version 1.0 file around any header text. */
function file(text: string, data: Uint8Array = new Uint8Array(0)): Buffer {
  const prefix = Buffer.from('\x93NUMPY\x01\x00\x00\x00', 'latin1');
  prefix.writeUInt16LE(text.length, 8);
  return Buffer.concat([prefix, Buffer.from(text, 'latin1'), data]);
}

function literal(descr: string, shape: string, fortran = 'False'): string {
  return `{'descr': ${descr}, 'fortran_order': ${fortran}, 'shape': ${shape}, }\n`;
}

test('every file NumPy wrote reads as NumPy itself reads it, in pieces of any size', async () => {
  for (const [name, { id, data, ...header }] of Object.entries(expected.files)) {
    const bytes = fixture(name);
    for (const pieceBytes of [1, 2, 3, 5, 7, 8, 13, 64, 127, 128, 129, bytes.byteLength]) {
      const read = await decode(bytes, pieceBytes, { contentLength: bytes.byteLength });
      assert.deepEqual(read.header, header, name);
      assert.equal(read.data.toString('hex'), data, `${name} in pieces of ${pieceBytes}`);
      assert.equal(startArrayHash(read.header).update(read.data).digest('hex'), id, name);
    }
  }
});

test('headers are written as NumPy writes them, byte for byte', () => {
  for (const { header, ...described } of expected.headers) {
    assert.equal(Buffer.from(encodeNpyHeader(described)).toString('latin1'), header);
  }
});

test('files of our dtypes survive reading and writing unchanged', async () => {
  for (const name of [
    'f8-little',
    'f8-little-fortran',
    'f4-little',
    'f8-little-specials',
    'scalar',
    'vector',
    'cube-fortran',
  ]) {
    const bytes = fixture(name);
    const { header, data } = await decode(bytes);
    assert.deepEqual(Buffer.concat([encodeNpyHeader(header), data]), bytes, name);
  }
});

test('any shape that is written is read again', async () => {
  const shapes = fc.array(fc.nat(4), { maxLength: 3 });
  const property = fc.asyncProperty(
    shapes,
    fc.constantFrom('float64' as const, 'float32' as const),
    fc.boolean(),
    fc.integer({ min: 1, max: 200 }),
    async (shape, dtype, fortran, pieceBytes) => {
      const order = fortran && shape.length > 1 ? 'F' : 'C';
      const bytes = shape.reduce((a, b) => a * b, dtype === 'float64' ? 8 : 4);
      const data = createHash('shake256', { outputLength: bytes }).update(String(shape)).digest();
      const read = await decode(Buffer.concat([encodeNpyHeader({ shape, dtype, order }), data]), pieceBytes);
      assert.deepEqual(read, { header: { shape, dtype, order }, data });
    },
  );
  await fc.assert(property, { numRuns: 200 });
});

test('float16 widens to float32 for all 65,536 values', async () => {
  const halves = Uint16Array.from({ length: 65_536 }, (_, bits) => bits);
  const { data } = await decode(file(literal("'<f2'", '(65536,)'), new Uint8Array(halves.buffer)), 9999);
  const singles = new Float32Array(data.buffer, data.byteOffset, halves.length);
  const words = new Uint32Array(data.buffer, data.byteOffset, halves.length);
  for (const bits of halves) {
    const sign = bits & 0x8000 ? -1 : 1;
    const exponent = (bits >> 10) & 31;
    const fraction = bits & 1023;
    if (exponent === 31 && fraction > 0) {
      assert.equal(words[bits], ((bits & 0x8000) * 65_536 + 0x7f800000 + fraction * 8192) >>> 0);
    } else {
      const finite = exponent === 0 ? fraction * 2 ** -24 : (1 + fraction / 1024) * 2 ** (exponent - 15);
      assert.ok(Object.is(singles[bits], sign * (exponent === 31 ? Number.POSITIVE_INFINITY : finite)));
    }
  }
});

test('integers beyond 2^53 are refused, also those that happen to be powers of two', async () => {
  const beyond: [string, bigint][] = [
    ["'<i8'", 2n ** 53n + 1n],
    ["'<i8'", -(2n ** 53n) - 1n],
    ["'<i8'", 2n ** 62n],
    ["'<i8'", -(2n ** 63n)],
    ["'<u8'", 2n ** 53n + 1n],
    ["'<u8'", 2n ** 64n - 1n],
    ["'<u8'", 2n ** 63n],
  ];
  for (const [descr, value] of beyond) {
    const data = Buffer.alloc(16);
    data.writeBigUInt64LE(BigInt.asUintN(64, value), 8);
    await failsWith('npy-lossy-cast', decode(file(literal(descr, '(2,)'), data), 3));
    await failsWith(
      'npy-lossy-cast',
      decode(file(literal(descr.replace('<', '>'), '(2,)'), data.swap64()), 3),
    );
  }
});

test('header texts that Python would accept are accepted', async () => {
  const texts = [
    "{'descr':'<f8','fortran_order':False,'shape':(1,2)}",
    '{"shape": (1, 2), "fortran_order": False, "descr": "<f8"}',
    "  {  'shape'  :\t( 1 ,\n2 , ) , 'descr' : '<f8' , 'fortran_order' : False , }  \n\n",
    "{'descr': '<f8', 'fortran_order': False, 'shape': (1L, 2L), }",
  ];
  for (const text of texts) {
    const { header } = await decode(file(text, new Uint8Array(16)), 11);
    assert.deepEqual(header, { shape: [1, 2], dtype: 'float64', order: 'C' }, text);
  }
});

const F8 = "'<f8'";
const HOSTILE: readonly [code: string, text: string][] = [
  ['npy-header-syntax', ''],
  ['npy-header-syntax', '{'],
  ['npy-header-syntax', '[]'],
  ['npy-header-syntax', '{}'],
  ['npy-header-syntax', `${literal(F8, '(1,)')}x`],
  ['npy-header-syntax', literal(F8, '(1,)').replace('{', '{{')],
  ['npy-header-syntax', "{'descr': '<f8', 'fortran_order': False}"],
  ['npy-header-syntax', "{'descr': '<f8', 'fortran_order': False, 'shape': (1,), 'more': 1}"],
  ['npy-header-syntax', "{'descr': '<f8', 'descr': '<f8', 'fortran_order': False, 'shape': (1,)}"],
  ['npy-header-syntax', "{'descr': '<f8' 'fortran_order': False, 'shape': (1,)}"],
  ['npy-header-syntax', "{'descr': '<f8', 'fortran_order': False, 'shape': (1,)"],
  ['npy-header-syntax', "{'descr': '<f8, 'fortran_order': False, 'shape': (1,)}"],
  ['npy-header-syntax', "{1: '<f8', 'fortran_order': False, 'shape': (1,)}"],
  ['npy-header-syntax', literal(F8, '(1,)', '0')],
  ['npy-header-syntax', literal(F8, '(1,)', 'false')],
  ['npy-header-syntax', literal(F8, '(1,)', 'None')],
  ['npy-header-syntax', literal('8', '(1,)')],
  ['npy-header-syntax', literal(F8, '(1 2)')],
  ['npy-header-syntax', literal(F8, '(,)')],
  ['npy-header-syntax', literal(F8, '__import__("os")')],
  ['npy-header-syntax', literal(F8, `${'('.repeat(4000)}1${')'.repeat(4000)}`)],
  ['npy-header-syntax', literal(F8, '[1')],
  ['npy-header-syntax', `${'\0'.repeat(64)}`],
  ['npy-shape', literal(F8, '(True,)')],
  ['npy-shape', literal(F8, '(2, False)')],
  ['npy-shape', literal(F8, '(-1,)')],
  ['npy-shape', literal(F8, '(1.0,)')],
  ['npy-shape', literal(F8, '(1e3,)')],
  ['npy-shape', literal(F8, '(0x10,)')],
  ['npy-shape', literal(F8, '(007,)')],
  ['npy-shape', literal(F8, '(+1,)')],
  ['npy-shape', literal(F8, '(None,)')],
  ['npy-shape', literal(F8, "('1',)")],
  ['npy-shape', literal(F8, '(9007199254740992,)')],
  ['npy-shape', literal(F8, `(${'9'.repeat(4000)},)`)],
  ['npy-shape', literal(F8, '[1, 2]')],
  ['npy-shape', literal(F8, '3')],
  ['npy-shape', literal(F8, '(3)')],
  ['npy-shape', literal(F8, '((1,),)')],
  ['npy-rank', literal(F8, '(1, 1, 1, 1)')],
  ['npy-rank', literal(F8, `(${'1,'.repeat(4000)})`)],
  ['array-too-large', literal(F8, '(4294967296, 4294967296)')],
  ['array-too-large', literal(F8, '(3037000500, 3037000500, 2)')],
  ['array-too-large', literal(F8, '(4294967297, 0)')],
  ['array-too-large', literal("'|u1'", '(34359738368,)')],
  ['npy-dtype-unsupported', literal("'|O'", '(1,)')],
  ['npy-dtype-unsupported', literal("'<U3'", '(1,)')],
  ['npy-dtype-unsupported', literal("'|S3'", '(1,)')],
  ['npy-dtype-unsupported', literal("'|V8'", '(1,)')],
  ['npy-dtype-unsupported', literal("'<c16'", '(1,)')],
  ['npy-dtype-unsupported', literal("'<f16'", '(1,)')],
  ['npy-dtype-unsupported', literal("'<M8[ns]'", '(1,)')],
  ['npy-dtype-unsupported', literal("'|f8'", '(1,)')],
  ['npy-dtype-unsupported', literal("'f8'", '(1,)')],
  ['npy-dtype-unsupported', literal("'constructor'", '(1,)')],
  ['npy-dtype-unsupported', literal("[('x', '<f8'), ('y', '<i4', (2,))]", '(1,)')],
];

test('a bad header is refused for what is wrong with it, before any data are read', async () => {
  for (const [code, text] of HOSTILE) {
    let wasRead = false;
    async function* body() {
      yield file(text);
      wasRead = true;
      yield new Uint8Array(8);
    }
    await failsWith(code, decodeNpy(body()), text.slice(0, 100));
    assert.equal(wasRead, false, text.slice(0, 100));
  }
});

test('a shape whose product wraps at 64 bits disagrees with Content-Length', async () => {
  const bytes = file(literal(F8, '(4294967296, 4294967296)'));
  await failsWith('npy-size-mismatch', decode(bytes, 64, { contentLength: bytes.byteLength }));
});

test('the size is judged from header and Content-Length, before any data are read', async () => {
  const bytes = fixture('f8-little');
  for (const contentLength of [0, 128, bytes.byteLength - 1, bytes.byteLength + 1, 2 ** 53 - 1]) {
    let wasRead = false;
    async function* body() {
      yield bytes.subarray(0, 128);
      wasRead = true;
      yield bytes.subarray(128);
    }
    await failsWith('npy-size-mismatch', decodeNpy(body(), { contentLength }));
    assert.equal(wasRead, false);
  }
});

test('magic, version and header length are judged from their own bytes alone', async () => {
  const good = fixture('f8-little');
  await failsWith('npy-bad-magic', decode(Buffer.from('PK\x03\x04 and so on')));
  await failsWith('npy-bad-magic', decode(new Uint8Array(0)));
  await failsWith('npy-bad-magic', decode(good.subarray(0, 5)));
  for (const version of [
    [0, 0],
    [1, 1],
    [2, 1],
    [4, 0],
    [255, 255],
  ]) {
    const changed = Buffer.from(good);
    changed.set(version, 6);
    await failsWith('npy-version', decode(changed));
  }
  const huge = Buffer.from('\x93NUMPY\x02\x00\xff\xff\xff\xff', 'latin1');
  await failsWith('npy-header-too-large', decode(huge));
  const over = Buffer.from('\x93NUMPY\x01\x00\x11\x27', 'latin1');
  assert.equal(over.readUInt16LE(8), NPY_HEADER_BYTES_MAX + 1);
  await failsWith('npy-header-too-large', decode(over));
  const longest = literal(F8, '(1,)').padEnd(NPY_HEADER_BYTES_MAX);
  assert.deepEqual((await decode(file(longest, new Uint8Array(8)))).header.shape, [1]);
});

test('every strict prefix is truncated, and every longer body trails', async () => {
  for (const name of ['f8-little', 'i2-big', 'version-3', 'empty-rows']) {
    const bytes = fixture(name);
    for (let length = 6; length < bytes.byteLength; length += 1) {
      await failsWith('npy-truncated', decode(bytes.subarray(0, length), 5), `${name} cut to ${length}`);
    }
    for (const pieceBytes of [1, bytes.byteLength, bytes.byteLength + 1]) {
      await failsWith('npy-trailing-data', decode(Buffer.concat([bytes, Buffer.alloc(1)]), pieceBytes));
    }
  }
});

test('a fault closes the source, and so does a reader that leaves early', async () => {
  let closed = 0;
  async function* body(bytes: Uint8Array) {
    try {
      while (true) yield bytes;
    } finally {
      closed += 1;
    }
  }
  await failsWith('npy-bad-magic', decodeNpy(body(Buffer.from('not a .npy file'))));
  assert.equal(closed, 1);
  const stream = await decodeNpy(body(fixture('f8-little')));
  for await (const _ of stream.data) break;
  assert.equal(closed, 2);
});

test('a large array is converted in small passes and never gathered', async () => {
  const length = 3_000_001;
  const { data } = await decodeNpy(
    pieces(file(literal("'|u1'", `(${length},)`), new Uint8Array(length).fill(9)), 1_000_000),
  );
  let sum = 0;
  for await (const piece of data) {
    assert.ok(piece.byteLength <= 8 * 64 * 1024);
    for (const value of new Float64Array(piece.buffer, piece.byteOffset, piece.byteLength / 8)) sum += value;
  }
  assert.equal(sum, 9 * length);
});
