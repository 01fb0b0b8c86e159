// Files against NumPy's own (the fixtures) and the service's codec.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { type NdArray, ndArray, toNested } from '../../../api/client/array.ts';
import { arrayId } from '../../../api/client/digest.ts';
import { decodeNpy, encodeNpy, readNpyHeader } from '../../../api/client/npy.ts';
import { REPOSITORY_ROOT } from '../../../deploy/local/root.ts';
import { startArrayHash } from '../../../shared/io/array-header.ts';
import { encodeNpyHeader } from '../../../shared/io/npy.ts';

function fixture(name: string): Uint8Array {
  return readFileSync(`${REPOSITORY_ROOT}test/shared/io/fixtures/${name}.npy`);
}

const count = (length: number) => Float64Array.from({ length }, (_, i) => i);
const ARRAYS: Record<string, NdArray> = {
  'a number': ndArray(count(1), []),
  'a column': ndArray(count(5), [5]),
  'a matrix': ndArray(count(6), [2, 3]),
  'a matrix by columns': ndArray(count(6), [2, 3], 'F'),
  'a stack': ndArray(Float32Array.from(count(24)), [2, 3, 4]),
  'no rows': ndArray(count(0), [0, 3]),
};

for (const [name, array] of Object.entries(ARRAYS)) {
  test(`${name} is written as the service writes it, and read back`, () => {
    const file = encodeNpy(array);
    assert.deepEqual(file.subarray(0, 128), new Uint8Array(encodeNpyHeader(array)));
    assert.deepEqual(decodeNpy(file), array);
  });

  test(`${name} has the id that the service gives it`, async () => {
    const { data } = array;
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    assert.equal(await arrayId(array), startArrayHash(array).update(bytes).digest('hex'));
  });
}

const EXPECTED = JSON.parse(
  readFileSync(`${REPOSITORY_ROOT}test/shared/io/fixtures/expected.json`, 'utf8'),
) as {
  files: Record<string, { shape: number[]; dtype: string; order: string; id: string }>;
};

for (const name of [
  'f8-little',
  'f4-little',
  'f8-little-fortran',
  'cube',
  'cube-fortran',
  'scalar',
  'vector',
  'version-2',
  'version-3',
  'numpy-1.8',
  'empty-rows',
]) {
  test(`NumPy's ${name} is read`, async () => {
    const array = decodeNpy(fixture(name));
    const { shape, dtype, order } = array;
    const { data: _, ...expected } = EXPECTED.files[name] as (typeof EXPECTED.files)[string] & {
      data?: string;
    };
    assert.deepEqual({ shape, dtype, order, id: await arrayId(array) }, expected);
  });
}

for (const name of ['f8-big', 'i4-little', 'b1', 'f2-little']) {
  test(`NumPy's ${name} is left to the service`, () => {
    assert.equal(readNpyHeader(fixture(name)), undefined);
    assert.throws(() => decodeNpy(fixture(name)), { slug: 'npy-header-syntax' });
  });
}

test('a file at an odd address is read, too', () => {
  const array = ARRAYS['a matrix']!; // from the table above
  const shifted = new Uint8Array(129 + array.data.byteLength);
  shifted.set(encodeNpy(array), 1);
  assert.deepEqual(decodeNpy(shifted.subarray(1)), array);
});

test('a file that is too short or too long is refused', () => {
  const file = encodeNpy(ARRAYS['a matrix']!);
  assert.throws(() => decodeNpy(file.subarray(0, -1)), { slug: 'npy-truncated' });
  assert.throws(() => decodeNpy(Uint8Array.of(...file, 0)), { slug: 'npy-trailing-data' });
  assert.throws(() => decodeNpy(file.subarray(0, 40)), { slug: 'npy-header-syntax' });
  assert.throws(() => decodeNpy(new Uint8Array(0)), { slug: 'npy-header-syntax' });
});

test('nesting follows the axes, not the memory', () => {
  assert.deepEqual(toNested(ARRAYS['a matrix']!), [
    [0, 1, 2],
    [3, 4, 5],
  ]);
  assert.deepEqual(toNested(ARRAYS['a matrix by columns']!), [
    [0, 2, 4],
    [1, 3, 5],
  ]);
  assert.equal(toNested(ARRAYS['a number']!), 0);
});
