// The benchmark of operands larger than memory does not rot: a small run of it computes, and checks what came out.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const program = fileURLToPath(new URL('./out-of-core.js', import.meta.url));
/** A is 8 MiB. */
const SMALL = ['--side', '1024', '--columns', '64', '--memory', '6MiB'];

test('an operand larger than memory streams to the right result, beside the same job in core', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [program, ...SMALL, '--json']);
  const figures = stdout
    .trim()
    .split('\n')
    .map(line => JSON.parse(line) as Record<string, unknown>);
  assert.deepEqual(
    figures.map(({ bench, memory }) => [bench, memory]),
    [
      ['out-of-core', '3GiB'],
      ['out-of-core', '6MiB'],
    ],
  );
  for (const figure of figures)
    for (const name of ['seconds', 'blocks', 'workerPeakMib', 'gatewayPeakMib'])
      assert.ok(Number(figure[name]) > 0, name);
});
