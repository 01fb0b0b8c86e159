// The benchmark of many workers does not rot: a small run of it measures what one of them can show.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const program = fileURLToPath(new URL('./scale.js', import.meta.url));
const SMALL = ['overhead', 'jacobian', '--jacobian-columns', '4', '--jobs', '4'];

test('parts are measured by name, with results that are checked', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [program, ...SMALL, '--json']);
  const figures = stdout
    .trim()
    .split('\n')
    .map(line => JSON.parse(line) as Record<string, unknown>);
  assert.deepEqual(
    figures.map(({ what, workers }) => `${what} ${workers}`),
    ['overhead 1', 'jacobian 1'],
  );
  for (const { bench, seconds, blocks } of figures) {
    assert.equal(bench, 'scale');
    assert.ok(Number(seconds) > 0 && Number(blocks) >= 1);
  }
  assert.ok(Number.isFinite(figures[0]?.overheadMs));
  assert.ok(Number(figures[1]?.copySeconds) > 0);
});
