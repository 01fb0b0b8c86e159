// The benchmark does not rot: its smoke run prints figures for every kernel, dtype and thread count.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { availableSources } from '../workers/kernels/sources.ts';

const program = fileURLToPath(new URL('./kernels.js', import.meta.url));

test('the kernel benchmark runs, and every figure is a positive number', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [program, '--smoke', '--json']);
  const figures = stdout
    .trim()
    .split('\n')
    .map(line => JSON.parse(line) as Record<string, unknown>);
  for (const figure of figures) {
    assert.equal(figure.bench, 'kernels');
    assert.ok(typeof figure.gflops === 'number' && figure.gflops > 0 && Number.isFinite(figure.gflops));
  }
  for (const kernel of [...availableSources().keys(), 'numpy-ts']) {
    for (const dtype of ['float64', 'float32']) {
      assert.ok(
        figures.some(f => f.kernel === kernel && f.dtype === dtype && f.threads === 1),
        kernel,
      );
    }
  }
  assert.ok(figures.some(f => f.threads === 2));
});

test('the table names the machine', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [program, '--smoke']);
  assert.match(stdout, new RegExp(`Node ${process.versions.node}.*\\n\\nkernel +dtype`));
});
