// A smoke of `npm run faults`, and that it can fail: a campaign that finds nothing must be one that looked.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { isBeyondBound } from './judge.ts';

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
  assert.match(stdout, /operands in memory: 150 flips, 0 escaped/);
  assert.match(stdout, /nothing escaped, nothing right was turned away\n$/);
});

test('damage is judged by the sum of what it did, against twice the sum of the bounds', () => {
  const right = [1, 2, 3, 4];
  const bounds = Float64Array.of(0.1, 0.1);
  assert.equal(isBeyondBound(right, [1, 2, 3, 4.35], bounds, 2, false), false);
  assert.equal(isBeyondBound(right, [1, 2, 3, 4.45], bounds, 2, false), true);
  assert.equal(isBeyondBound(right, [1, 2, 3.25, 4.25], bounds, 2, false), true);
  assert.equal(isBeyondBound(right, [1, Number.NaN, 3, 4], bounds, 2, false), true);
  const unbounded = Float64Array.of(Number.NaN, 0.1);
  assert.equal(isBeyondBound([Number.NaN, 2, 3, 4], [5, 2, 3, 4], unbounded, 2, true), true);
  assert.equal(isBeyondBound([Number.NaN, 2, 3, 4], [Number.NaN, 2, 3, 4], unbounded, 2, true), false);
});
