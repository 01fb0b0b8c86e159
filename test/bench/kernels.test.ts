// The benchmark does not rot: its smoke run prints figures for every kernel, dtype and thread count.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { availableSources } from '../workers/kernels/sources.ts';
import { judge } from './claims.ts';
import { type Figure, square } from './figures.ts';
import { parseSelection } from './selection.ts';

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

test('a claim holds from its ratio on, and is not measured where a peer is absent', () => {
  const figure = (kernel: string, gflops: number): Figure => {
    return { bench: 'kernels', kernel, dtype: 'float64', ...square(1024), threads: 1, gflops };
  };
  const verdict = (figures: readonly Figure[]) => {
    const row = judge(figures).find(
      ([ours, theirs, dtype, size]) =>
        ours === 'native, 1' && theirs === 'blas, 1' && dtype === 'float64' && size === '1024³',
    );
    return row?.at(-1);
  };
  assert.equal(verdict([figure('native', 95), figure('blas', 100)]), 'holds');
  assert.equal(verdict([figure('native', 94), figure('blas', 100)]), 'falls short');
  assert.equal(verdict([figure('native', 95)]), 'not measured');
  assert.equal(verdict([figure('native', 95), { ...figure('blas', 100), dtype: 'float32' }]), 'not measured');
});

test('words select dtypes and sides, and the claims about them', () => {
  const selection = parseSelection(['float32', '8', '256']);
  assert.deepEqual(selection.dtypes, ['float32']);
  assert.ok(selection.hasShape({ m: 1024, k: 1024, n: 8 }));
  assert.ok(!selection.hasShape(square(1024)));
  assert.deepEqual(
    judge([], selection).map(row => row[3]),
    ['256³'],
  );
  assert.deepEqual(parseSelection([]).dtypes, ['float64', 'float32']);
  assert.throws(() => parseSelection(['float16']), RangeError);
});
