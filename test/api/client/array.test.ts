import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fromNested, ndArray, toNested } from '../../../api/client/array.ts';
import { inlineText } from '../../../api/client/job-text.ts';

for (const list of [
  7,
  [1, 2, 3],
  [
    [1, 2],
    [3, 4],
    [5, 6],
  ],
  [
    [[1], [2]],
    [[3], [4]],
  ],
  [],
  [[], []],
]) {
  test(`${JSON.stringify(list)} becomes an array and nests again`, () => {
    assert.deepEqual(toNested(fromNested(list)), list);
  });
}

for (const list of [[[1, 2], [3]], [[1], 2], [1, [2]], [[[[1]]]]]) {
  test(`${JSON.stringify(list)} is no array`, () => {
    assert.throws(() => fromNested(list), { name: 'FrechetProblem', slug: 'array-syntax', status: 422 });
  });
}

test('a typed array of another length than its shape is refused', () => {
  assert.throws(() => ndArray(new Float64Array(5), [2, 3]), { slug: 'shape-mismatch' });
});

test('inline data are rows, exact, with what JSON has no number for as text', () => {
  const odd = ndArray(Float64Array.of(-0, 0.1, 1e300, Number.NaN, Infinity, -Infinity), [2, 3], 'F');
  assert.equal(inlineText(odd), '{"data":[[-0,1e+300,"Infinity"],[0.1,"NaN","-Infinity"]]}');
  assert.equal(inlineText(ndArray(Float32Array.of(1, 2), [2])), '{"data":[1,2],"dtype":"float32"}');
  assert.equal(inlineText(ndArray(Float64Array.of(3), [])), '{"data":3}');
});
