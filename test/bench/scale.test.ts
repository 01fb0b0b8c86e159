// The benchmark of many workers does not rot: a small run of it measures what one of them can show.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Memory } from './memory.ts';

const program = fileURLToPath(new URL('./scale.js', import.meta.url));
const SMALL = ['overhead', 'soak', 'jacobian', '--jacobian-columns', '4', '--jobs', '4', '--soak', '50'];

test('parts are measured by name, with results that are checked', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [program, ...SMALL, '--json']);
  const figures = stdout
    .trim()
    .split('\n')
    .map(line => JSON.parse(line) as Record<string, unknown>);
  assert.deepEqual(
    figures.map(({ what, workers }) => `${what} ${workers}`),
    ['overhead 1', 'soak 1', 'jacobian 1'],
  );
  for (const { bench, seconds, blocks } of figures) {
    assert.equal(bench, 'scale');
    assert.ok(Number(seconds) > 0 && Number(blocks) >= 1);
  }
  assert.ok(Number.isFinite(figures[0]?.overheadMs));
  const { before, after, peak } = figures[1]!.memory as Record<string, unknown>;
  assert.equal((after as Memory[]).length, 3);
  for (const memory of [before, peak] as Memory[]) assert.ok(memory.gateway > 10 && memory.redis > 0);
  assert.ok(Number(figures[2]?.copySeconds) > 0);
});
