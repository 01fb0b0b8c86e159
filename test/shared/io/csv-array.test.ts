import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { ArrayHeader } from '../../../shared/io/array-header.ts';
import { decodeCsvArray, encodeCsvArray } from '../../../shared/io/csv-array.ts';
import { JSON_BODY_BYTES_MAX } from '../../../shared/job/limits.ts';
import { collect, failsWith, pieces } from './streams.ts';

async function decode(text: string | Uint8Array, pieceBytes: number) {
  const { header, data } = await decodeCsvArray(pieces(Buffer.from(text), pieceBytes));
  const { buffer, byteOffset, byteLength } = await collect(data);
  assert.equal(header.dtype, 'float64');
  assert.equal(header.order, 'C');
  // A Buffer may begin anywhere, so its numbers are read from a copy.
  return {
    shape: header.shape,
    values: [...new Float64Array(buffer.slice(byteOffset, byteOffset + byteLength))],
  };
}

async function encode(header: ArrayHeader, values: readonly number[]): Promise<string> {
  const data = new Uint8Array(new Float64Array(values).buffer);
  return (
    await collect(encodeCsvArray(header, (start, stop) => pieces(data.subarray(start, stop), 13)))
  ).toString();
}

test('rows are lines, with LF or CRLF, the last line ended or not, in pieces of any size', async () => {
  const cases: [string, number[], number[]][] = [
    ['1,2\n3,4\n', [2, 2], [1, 2, 3, 4]],
    ['1,2\r\n3,4', [2, 2], [1, 2, 3, 4]],
    ['\xef\xbb\xbf1,2\n', [1, 2], [1, 2]],
    ['7', [1, 1], [7]],
    [' 1 ,\t-2.5e-3\n', [1, 2], [1, -0.0025]],
    ['.5,5.,+1,-0\n', [1, 4], [0.5, 5, 1, -0]],
    [
      'NaN,Infinity,-Infinity\nnan,inf,-inf\n',
      [2, 3],
      [Number.NaN, Infinity, -Infinity, Number.NaN, Infinity, -Infinity],
    ],
    ['', [0, 0], []],
    ['\n\n\n', [3, 0], []],
  ];
  for (const [text, shape, values] of cases) {
    for (const pieceBytes of [1, 2, 3, 1000]) {
      assert.deepEqual(
        await decode(Buffer.from(text, 'latin1'), pieceBytes),
        { shape, values },
        JSON.stringify(text),
      );
    }
  }
});

test('what is not a rectangle of numbers is refused with its line', async () => {
  const cases: [line: number, text: string][] = [
    [2, '1,2\n3\n'],
    [2, '1\n2,3\n'],
    [3, '1,2\n3,4\n\n5,6\n'],
    [1, 'a,b\n1,2\n'],
    [1, '1,,2\n'],
    [1, '1,2,\n'],
    [2, '1\n"2"\n'],
    [2, '1\n0x10\n'],
    [1, '1_000\n'],
    [1, '1 2\n'],
    [1, '1;2\n'],
    [2, '1\n1e999\n'],
    [1, '١\n'],
    [1, '-\n'],
    [1, `${'1'.repeat(100_000)}x`],
    [2, `1\n${'1'.repeat(100_000)}x,2`],
  ];
  for (const [line, text] of cases) {
    for (const pieceBytes of [1, 100_000_000]) {
      const error = await failsWith('array-syntax', decode(text, pieceBytes), text.slice(0, 40));
      assert.match(error.message, new RegExp(`^Line ${line} `), text.slice(0, 40));
    }
  }
});

test('a body is bounded', async () => {
  await failsWith('body-too-large', decode(Buffer.alloc(JSON_BODY_BYTES_MAX + 1, '1\n'), 1 << 20));
});

test('any matrix is read as it was written', async () => {
  const property = fc.asyncProperty(
    fc.nat(5),
    fc.nat(5),
    fc.infiniteStream(fc.double()),
    async (rows, cols, stream) => {
      const values = [...stream.take(rows * cols)];
      const text = await encode({ shape: [rows, cols], dtype: 'float64', order: 'C' }, values);
      const wanted = { shape: rows === 0 ? [0, 0] : [rows, cols], values };
      assert.deepEqual(await decode(text, 5), wanted);
    },
  );
  await fc.assert(property, { numRuns: 300 });
});

test('a vector is a column, a scalar one line, column order becomes rows, and a stack is no CSV', async () => {
  assert.equal(
    await encode({ shape: [3], dtype: 'float64', order: 'C' }, [1, -0, Infinity]),
    '1\n-0\nInfinity\n',
  );
  assert.equal(await encode({ shape: [], dtype: 'float64', order: 'C' }, [Number.NaN]), 'NaN\n');
  assert.equal(
    await encode({ shape: [2, 3], dtype: 'float64', order: 'F' }, [1, 4, 2, 5, 3, 6]),
    '1,2,3\n4,5,6\n',
  );
  const stack: ArrayHeader = { shape: [1, 1, 1], dtype: 'float64', order: 'C' };
  assert.throws(() => encodeCsvArray(stack, () => pieces(new Uint8Array(8), 8)), { code: 'not-acceptable' });
});
