// A smoke of `npm run faults`, and that it can fail: a campaign that finds nothing must be one that looked.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { judge } from './judge.ts';

test('no flipped bit escapes beyond its bound, and no clean block is turned away', async () => {
  const program = fileURLToPath(new URL('./faults.js', import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, [program, '--smoke']);
  assert.match(stdout, /300 clean blocks: 0 false alarms/);
  // Every kind of damage did some that had to be found.
  const harmful = [...stdout.matchAll(/, (\d+) beyond it/g)].map(match => Number(match[1]));
  assert.equal(harmful.length, 5);
  assert.ok(
    harmful.every(count => count > 20),
    stdout,
  );
  assert.match(stdout, /nothing escaped, nothing right was turned away\n$/);
});

test('one wrong element beyond the bound must be found, several may cancel, small ones are rounding', () => {
  const right = [1, 2, 3, 4];
  const bounds = Float64Array.of(0.1, 0.1);
  assert.equal(judge(right, [1, 2, 3, 4.15], bounds, 2, false), 'within the bound');
  assert.equal(judge(right, [1, 2, 3, 4.25], bounds, 2, false), 'found for certain');
  assert.equal(judge(right, [1, 2, 3.25, 4.25], bounds, 2, false), 'found by chance');
  assert.equal(judge(right, [1, Number.NaN, 3, 4], bounds, 2, false), 'found for certain');
  const unbounded = Float64Array.of(Number.NaN, 0.1);
  assert.equal(judge([Number.NaN, 2, 3, 4], [5, 2, 3, 4], unbounded, 2, true), 'found for certain');
  assert.equal(judge([Number.NaN, 2, 3, 4], [Number.NaN, 2, 3, 4], unbounded, 2, true), 'within the bound');
});
