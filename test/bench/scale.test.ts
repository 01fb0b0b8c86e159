// The benchmark of many workers does not rot: a small run of it measures every part.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const program = fileURLToPath(new URL('./scale.js', import.meta.url));
const SMALL = ['--side', '256', '--numpy-side', '64', '--jobs', '4'];

test('every part is measured, with results that are checked, and says what it comes to', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [program, ...SMALL, '--json']);
  const figures = stdout
    .trim()
    .split('\n')
    .map(line => JSON.parse(line) as Record<string, unknown>);
  assert.deepEqual(
    figures.map(({ what, workers }) => `${what} ${workers}`),
    ['blocks 1', 'jobs 1', 'overhead 1', 'blocks 2', 'jobs 2', 'numpy 1'],
  );
  for (const { bench, seconds, blocks } of figures) {
    assert.equal(bench, 'scale');
    assert.ok(Number(seconds) > 0 && Number(blocks) >= 1);
  }
  assert.ok(Number.isFinite(figures[2]?.overheadMs));
});
