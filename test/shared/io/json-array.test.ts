import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { ArrayHeader } from '../../../shared/io/array-header.ts';
import { decodeJsonArray, encodeJsonArray, parseJsonArray } from '../../../shared/io/json-array.ts';
import { JSON_BODY_BYTES_MAX } from '../../../shared/job/limits.ts';
import type { Dtype } from '../../../shared/math/dtype.ts';
import { collect, failsWith, pieces } from './streams.ts';

function values(array: { header: ArrayHeader; data: Uint8Array }): number[] {
  const { buffer, byteOffset, byteLength } = array.data;
  return array.header.dtype === 'float64'
    ? [...new Float64Array(buffer, byteOffset, byteLength / 8)]
    : [...new Float32Array(buffer, byteOffset, byteLength / 4)];
}

async function decode(text: string | Uint8Array, pieceBytes = 7) {
  const { header, data } = await decodeJsonArray(pieces(Buffer.from(text), pieceBytes));
  return { header, data: await collect(data) };
}

async function encode(header: ArrayHeader, data: Uint8Array): Promise<string> {
  const text = encodeJsonArray(header, (start, stop) => pieces(data.subarray(start, stop), 13));
  return (await collect(text)).toString();
}

test('nested lists become arrays of the rank they have', async () => {
  const cases: [string, number[], number[]][] = [
    ['5', [], [5]],
    ['[]', [0], []],
    ['[1,2,3]', [3], [1, 2, 3]],
    ['[[1,2],[3,4],[5,6]]', [3, 2], [1, 2, 3, 4, 5, 6]],
    ['[[],[]]', [2, 0], []],
    ['[[[1],[2]],[[3],[4]]]', [2, 2, 1], [1, 2, 3, 4]],
    ['[[[]]]', [1, 1, 0], []],
    [' [ -0 , 1e-320, "NaN", "Infinity", "-Infinity" ] ', [5], [-0, 1e-320, Number.NaN, Infinity, -Infinity]],
    ['{"data": [[7]], "dtype": "float64"}', [1, 1], [7]],
    ['{"data": 7}', [], [7]],
  ];
  for (const [text, shape, elements] of cases) {
    const array = await decode(text);
    assert.deepEqual(array.header, { shape, dtype: 'float64', order: 'C' }, text);
    assert.deepEqual(values(array), elements, text);
  }
});

test('float32 rounds to nearest, ties to even', async () => {
  const array = await decode('{"dtype": "float32", "data": [0.1, 16777217, 16777219, 1e-60, "NaN"]}');
  assert.equal(array.header.dtype, 'float32');
  assert.deepEqual(values(array), [Math.fround(0.1), 16_777_216, 16_777_220, 0, Number.NaN]);
});

test('faults name their place', () => {
  const cases: [code: string, pointer: string, value: unknown, dtype?: Dtype][] = [
    ['array-syntax', '/1', [[1, 2], [3]]],
    ['array-syntax', '/1', [[1], [2, 3]]],
    ['array-syntax', '/1', [[1], 2]],
    ['array-syntax', '/1', [1, [2]]],
    ['array-syntax', '/0/1', [[[1], []]]],
    ['array-syntax', '/0/0/0', [[[[1]]]]],
    ['schema', '/0/1', [[1, null]]],
    ['schema', '/2', [1, 2, 'nan']],
    ['schema', '/0', ['constructor']],
    ['schema', '/0', [true]],
    ['schema', '/1', [1, { a: 1 }]],
    ['schema', '', 'x'],
    ['schema', '/1/0', JSON.parse('[[1],[1e999]]')],
    ['schema', '/0', JSON.parse('[-1e309]')],
    ['schema', '/0', [1e39], 'float32'],
  ];
  for (const [code, pointer, value, dtype = 'float64'] of cases) {
    assert.throws(
      () => parseJsonArray(value, dtype, '/operands/A/data'),
      (error: { code: string; context: { errors: { pointer: string }[] } }) => {
        assert.equal(error.code, code, JSON.stringify(value));
        assert.equal(error.context.errors[0]?.pointer, `/operands/A/data${pointer}`);
        return true;
      },
    );
  }
});

test('a body is JSON in UTF-8, of bounded size and of one of the two forms', async () => {
  await failsWith('json-syntax', decode('[1,2'));
  await failsWith('json-syntax', decode(''));
  await failsWith('json-syntax', decode('[NaN]'));
  await failsWith('json-syntax', decode(Buffer.from([0x5b, 0x22, 0xff, 0x22, 0x5d])));
  await failsWith('schema', decode('{"data": [1], "dtype": "float16"}'));
  await failsWith('schema', decode('{"data": [1], "order": "C"}'));
  await failsWith('schema', decode('{}'));
  await failsWith('schema', decode('null'));
  await failsWith('body-too-large', decode(Buffer.alloc(JSON_BODY_BYTES_MAX + 1, ' '), 1 << 20));
});

test('a ragged list cannot make the reader take memory for a rectangle that is not there', () => {
  const long = new Array<number>(1_000_000).fill(0);
  const short = new Array<number[]>(1_000_000).fill([]);
  assert.throws(() => parseJsonArray([long, ...short], 'float64'), { code: 'array-syntax' });
});

test('what is written is read again, bit for bit, in any rank and both orders', async () => {
  const property = fc.asyncProperty(
    fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 3 }),
    fc.constantFrom<Dtype>('float64', 'float32'),
    fc.infiniteStream(fc.double()),
    async (shape, dtype, stream) => {
      const length = shape.reduce((a, b) => a * b, 1);
      const numbers = [...stream.take(length)];
      const stored = dtype === 'float64' ? new Float64Array(numbers) : new Float32Array(numbers);
      const text = await encode({ shape, dtype, order: 'C' }, new Uint8Array(stored.buffer));
      const again = parseJsonArray(JSON.parse(text), dtype);
      // Lists end at the first side of zero: what lies below is not in the text.
      const zero = shape.indexOf(0);
      assert.deepEqual(again.header.shape, zero === -1 ? shape : shape.slice(0, zero + 1));
      assert.deepEqual(values(again), [...stored]);
    },
  );
  await fc.assert(property, { numRuns: 300 });
});

test('numbers are written as JSON.stringify writes them, zero with its sign', async () => {
  const numbers = [0, -0, 1, -1.5, 1e21, 5e-324, 0.1, 1 / 3, 2 ** 53, 1.7976931348623157e308];
  const text = await encode(
    { shape: [10], dtype: 'float64', order: 'C' },
    new Uint8Array(new Float64Array(numbers).buffer),
  );
  assert.equal(text, JSON.stringify(numbers).replace('[0,0,', '[0,-0,'));
  const single = await encode(
    { shape: [], dtype: 'float32', order: 'C' },
    new Uint8Array(new Float32Array([0.1]).buffer),
  );
  assert.equal(single, '0.10000000149011612');
});
