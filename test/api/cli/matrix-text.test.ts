import assert from 'node:assert/strict';
import { test } from 'node:test';
import { matrixText } from '../../../api/cli/matrix-text.ts';
import { ndArray } from '../../../api/client/array.ts';

const numbers = Float64Array.of(1, -20, 0.1, 1e300, Number.NaN, -0);

test('rows are lines, columns line up, numbers are whole', () => {
  assert.equal(matrixText(ndArray(numbers, [2, 3])), '     1    -20    0.1\n1e+300    NaN     -0\n');
  assert.equal(matrixText(ndArray(Float64Array.of(1, 2, 3, 4), [2, 2], 'F')), '1 3\n2 4\n');
});

test('a number is a line, a vector a column, a stack has gaps', () => {
  assert.equal(matrixText(ndArray(Float64Array.of(7), [])), '7\n');
  assert.equal(matrixText(ndArray(Float64Array.of(7, 8), [2])), '7\n8\n');
  assert.equal(matrixText(ndArray(Float64Array.of(1, 2, 3, 4), [2, 1, 2])), '1 2\n\n3 4\n');
});

test('what is empty is no text', () => {
  assert.equal(matrixText(ndArray(new Float64Array(0), [0, 3])), '');
});
