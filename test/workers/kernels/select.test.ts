import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { libraryPaths } from '../../../workers/kernels/native/libraries.ts';
import { createNativeKernel } from '../../../workers/kernels/native/native-kernel.ts';
import { selectKernel } from '../../../workers/kernels/select.ts';
import { createKernel, scratchBytes } from '../../../workers/kernels/source.ts';
import { createFixture } from './fixture.ts';
import { libraryDirectories } from './sources.ts';

test('auto takes the fastest kernel that works, and tells how fast each is or why it does not work', () => {
  const choice = selectKernel('auto', libraryDirectories());
  const rates = [...choice.reason.matchAll(/, (\d+) GFLOP\/s/g)].map(([, rate]) => Number(rate));
  assert.ok(
    rates.length >= 1 && rates.every((rate, at) => at === 0 || rate <= rates[at - 1]!),
    choice.reason,
  );
  assert.equal(choice.name, choice.fastest.name);
  assert.match(choice.reason, new RegExp(`^${choice.name}`));
  if (choice.name !== 'native') assert.match(choice.reason, /; native/);
});

test('a setting is obeyed', () => {
  const wasm = selectKernel('wasm');
  assert.equal(wasm.name, 'wasm');
  assert.equal(wasm.reproducible.name, 'wasm');
  const reference = selectKernel('reference');
  assert.deepEqual(
    [reference.name, reference.fastest, reference.reproducible],
    ['reference', { name: 'reference' }, { name: 'reference' }],
  );
});

test('reproducible jobs never get the relaxed module', () => {
  const { fastest, reproducible } = selectKernel('wasm');
  assert.ok(fastest.name === 'wasm' && reproducible.name === 'wasm');
  const { memory, scratch } = memoryFor('wasm');
  const data = new Float64Array(memory.buffer);
  // 1 + 2⁻³⁰ squared, less its rounded square: a fused multiply-add keeps the rest, a strict one has 0.
  const x = 1 + 2 ** -30;
  const at = scratch.byteLength / 8;
  data.set([x * x, -x, 1, x], at);
  const view = (rows: number, cols: number, offset: number) => {
    return { rows, cols, offset, rowStride: cols, colStride: 1 };
  };
  const tile = {
    dtype: 'float64' as const,
    alpha: 1,
    a: view(1, 2, at),
    b: view(2, 1, at + 2),
    beta: 0,
    c: view(1, 1, at + 4),
  };
  createKernel(reproducible, memory, scratch).gemm(tile);
  assert.equal(data[at + 4], 0);
});

test('a choice can be posted to threads, whose kernels are right while all of them compute', async () => {
  const choice = selectKernel('auto', libraryDirectories());
  const path = (name: string) => new URL(`../../../workers/kernels/${name}`, import.meta.url).href;
  const code = `
    import { parentPort, workerData } from 'node:worker_threads';
    const { createKernel, scratchBytes } = await import('${path('source.js')}');
    const { selfTest } = await import('${path('self-test.js')}');
    const faults = new Set();
    for (const source of [workerData.fastest, workerData.reproducible]) {
      const pages = Math.ceil(scratchBytes(source.name) / 65536) + 1;
      const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
      const scratch = { byteOffset: 0, byteLength: scratchBytes(source.name) };
      const kernel = createKernel(source, memory, scratch);
      for (let i = 0; i < 50; i++) faults.add(selfTest(kernel, memory, (pages - 1) * 65536) ?? 'right');
    }
    parentPort.postMessage([...faults]);`;
  const url = new URL(`data:text/javascript,${encodeURIComponent(code)}`);
  const threads = [1, 2, 3].map(() => new Worker(url, { workerData: choice }));
  const answers = await Promise.all(
    threads.map(
      thread =>
        new Promise((resolve, reject) => {
          thread.once('message', resolve);
          thread.once('error', reject);
        }),
    ),
  );
  await Promise.all(threads.map(thread => thread.terminate()));
  assert.deepEqual(answers, [['right'], ['right'], ['right']]);
});

test('libraries are tried in the given folders and one below, serial builds first, then in the system', () => {
  const folder = mkdtempSync(join(tmpdir(), 'frechet-libraries-'));
  for (const name of ['blis-openmp', 'blis-serial']) {
    mkdirSync(join(folder, name));
    writeFileSync(join(folder, name, 'libblis.so.4'), 'not a library');
  }
  const blis = libraryPaths([join(folder, 'absent'), folder]).filter(({ path }) =>
    path.endsWith('libblis.so.4'),
  );
  assert.deepEqual(
    blis.map(({ path }) => path.replace(folder, '')),
    ['/blis-serial/libblis.so.4', '/blis-openmp/libblis.so.4', 'libblis.so.4'],
  );
  // What is no library at all is passed over, and does not end the process.
  assert.ok(selectKernel('auto', [folder]).reason.length > 0);
  rmSync(folder, { recursive: true });
});

test('a library without a BLAS in it gives no kernel', () => {
  const { kernel, memory } = createFixture({ name: 'reference' }, 'float64', 65536);
  assert.equal(createNativeKernel('/nonexistent/libblis.so.4', memory, kernel), undefined);
  assert.equal(createNativeKernel('libc.so.6', memory, kernel), undefined);
});

function memoryFor(name: 'wasm' | 'reference') {
  const pages = Math.ceil(scratchBytes(name) / 65536) + 1;
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  return { memory, scratch: { byteOffset: 0, byteLength: scratchBytes(name) } };
}
