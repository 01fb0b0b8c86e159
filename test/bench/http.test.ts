// The benchmark of the gateway does not rot: a few hundred small jobs, one by one and by batch, are queued and succeed,
// and an array goes up and down. The program fails where a single one does not.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const program = fileURLToPath(new URL('./http.js', import.meta.url));
const JOBS = 100;

test('small jobs succeed over one connection, over many and by batch, beside BullMQ alone; an array is copied', async () => {
  const small = ['--jobs', String(JOBS), '--mib', '2'];
  const { stdout } = await promisify(execFile)(process.execPath, [program, ...small, '--json']);
  const figures = stdout
    .trim()
    .split('\n')
    .map(line => JSON.parse(line) as Record<string, unknown>);
  const transfers = figures.splice(-3);
  assert.deepEqual(
    transfers.map(({ what }) => what),
    ['copy with fsync', 'upload', 'download'],
  );
  for (const { bytes, seconds } of transfers)
    assert.ok(Number(bytes) > 2 * 2 ** 20 && Number(seconds) > 0 && Number(seconds) < 60);
  assert.deepEqual(
    figures.map(({ what, connections, jobs }) => [what, connections, jobs]),
    [
      ['jvp 8×8, Prefer: wait', 1, JOBS / 10],
      ['BullMQ alone', 1, JOBS / 10],
      ['jvp 8×8, Prefer: wait', 32, JOBS],
      ['BullMQ alone', 32, JOBS],
      [`batches of ${JOBS}`, 2, 2 * JOBS],
    ],
  );
  for (const figure of figures)
    for (const name of ['jobsPerSecond', 'p50Ms', 'p99Ms']) assert.ok(Number(figure[name]) > 0, name);
});
