// The benchmark does not rot: its smoke run prints figures for every kernel, dtype and thread count.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { availableSources } from '../workers/kernels/sources.ts';
import { judge } from './claims.ts';
import { type Figure, square } from './figures.ts';

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

test('a claim holds from its ratio on, and says nothing where a peer was not measured', () => {
  const figure = (kernel: string, gflops: number): Figure => {
    return { bench: 'kernels', kernel, dtype: 'float64', ...square(1024), threads: 1, gflops };
  };
  const verdicts = (figures: readonly Figure[]) => judge(figures).map(row => [row[0], row[1], row.at(-1)]);
  assert.deepEqual(verdicts([figure('native', 95), figure('blas', 100)]), [
    ['native, 1', 'blas, 1', 'holds'],
  ]);
  assert.deepEqual(verdicts([figure('native', 94), figure('blas', 100)]), [
    ['native, 1', 'blas, 1', 'falls short'],
  ]);
  assert.deepEqual(verdicts([figure('native', 95)]), []);
  assert.deepEqual(verdicts([figure('wasm strict', 36), { ...figure('blas', 100), dtype: 'float32' }]), []);
});
