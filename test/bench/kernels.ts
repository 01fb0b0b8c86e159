// How fast is C = A·B, kernel by kernel, against what npm offers? One thread, then one thread a core on row slabs.
//
//   npx tsc -p . && node dist/test/bench/kernels.js [--json] [--smoke]
//
// --json prints a line a figure: {bench, kernel, dtype, m, n, k, threads, gflops}. --smoke is a run of seconds.

import { Worker } from 'node:worker_threads';
import * as np from 'numpy-ts';
import { DTYPES, type Dtype, floatArray } from '../../shared/math/dtype.ts';
import { denseView, sliceView } from '../../shared/math/view.ts';
import type { GemmTile, Scratch } from '../../workers/kernels/kernel.ts';
import { createKernel, type KernelSource, scratchBytes } from '../../workers/kernels/source.ts';
import { seededRandom } from '../workers/kernels/fixture.ts';
import { availableSources } from '../workers/kernels/sources.ts';
import type { KernelThreadData } from './kernel-thread.ts';
import { bestSeconds, type Contender, machine, table } from './measure.ts';

interface Shape {
  readonly m: number;
  readonly k: number;
  readonly n: number;
}

interface Figure extends Shape {
  readonly bench: 'kernels';
  readonly kernel: string;
  readonly dtype: Dtype;
  readonly threads: number;
  readonly gflops: number;
}

const json = process.argv.includes('--json');
const smoke = process.argv.includes('--smoke');
const SECONDS = smoke ? 0.001 : 0.6;
const THREADS = 2;
const SHAPES: readonly Shape[] = smoke
  ? [square(48), { m: 48, k: 48, n: 1 }]
  : [
      ...[64, 256, 1024, 2048].map(square),
      { m: 1024, k: 1024, n: 1 },
      { m: 1024, k: 1024, n: 8 },
      { m: 1, k: 1024, n: 1024 },
      { m: 8, k: 1024, n: 1024 },
      { m: 1024, k: 16, n: 1024 },
    ];
/** Longer for threads, whose turns are long and easily disturbed. */
const THREADED_SECONDS = 3 * SECONDS;
const THREADED_SHAPE = square(smoke ? 64 : 2048);

const SCRATCH_BYTES = Math.max(...(['native', 'wasm', 'reference'] as const).map(scratchBytes));
const SCRATCH_STRIDE = Math.ceil(SCRATCH_BYTES / 65536) * 65536;
const OPERANDS_AT = THREADS * SCRATCH_STRIDE;
const PAGES = Math.ceil((OPERANDS_AT + 3 * 8 * THREADED_SHAPE.m ** 2) / 65536);
const memory = new WebAssembly.Memory({ initial: PAGES, maximum: PAGES, shared: true });

const sources = availableSources();
const figures: Figure[] = [];

async function main(): Promise<void> {
  for (const dtype of ['float64', 'float32'] as const) {
    for (const shape of SHAPES)
      await measure(dtype, shape, 1, [...singles(dtype, shape), numpy(dtype, shape)]);
    const threads = [...sources].filter(([name]) => name !== 'reference').map(entry => new Crew(...entry));
    const contenders = threads.map(crew => ({
      name: crew.name,
      run: () => crew.run(product(dtype, THREADED_SHAPE)),
    }));
    await measure(dtype, THREADED_SHAPE, THREADS, contenders, THREADED_SECONDS);
    await Promise.all(threads.map(crew => crew.stop()));
  }
  if (!json) print();
}

function square(size: number): Shape {
  return { m: size, k: size, n: size };
}

async function measure(
  dtype: Dtype,
  shape: Shape,
  threads: number,
  contenders: readonly Contender[],
  secondsEach = SECONDS,
): Promise<void> {
  const best = await bestSeconds(contenders, secondsEach);
  for (const [kernel, seconds] of best) {
    const gflops = (2 * shape.m * shape.k * shape.n) / seconds / 1e9;
    const figure: Figure = { bench: 'kernels', kernel, dtype, ...shape, threads, gflops };
    figures.push(figure);
    if (json) process.stdout.write(`${JSON.stringify(figure)}\n`);
  }
}

/** Dense row-major operands behind the scratch, filled with numbers of one size. */
function product(dtype: Dtype, { m, k, n }: Shape): GemmTile {
  const offset = OPERANDS_AT / DTYPES[dtype].bytes;
  const a = denseView(m, k, offset);
  const b = denseView(k, n, offset + m * k);
  return { dtype, alpha: 1, a, b, beta: 0, c: denseView(m, n, offset + m * k + k * n) };
}

function singles(dtype: Dtype, shape: Shape): Contender[] {
  const tile = product(dtype, shape);
  const random = seededRandom(1);
  const { m, k, n } = shape;
  const operands = floatArray(dtype, memory.buffer, OPERANDS_AT, m * k + k * n);
  for (let e = 0; e < operands.length; e++) operands[e] = random();
  // The reference is an oracle, and seconds slow past a small size.
  return [...sources]
    .filter(([name]) => name !== 'reference' || m * k * n <= 256 ** 3)
    .map(([name, source]) => {
      const kernel = createKernel(source, memory, scratchOf(0));
      return { name, run: () => kernel.gemm(tile) };
    });
}

/** numpy-ts at its best: operands already in its memory, results given back at once, relaxed SIMD where there is. */
function numpy(dtype: Dtype, { m, k, n }: Shape): Contender {
  const a = np.ones([m, k], dtype);
  const b = np.ones([k, n], dtype);
  return { name: 'numpy-ts', run: () => np.matmul(a, b).dispose() };
}

function scratchOf(thread: number): Scratch {
  return { byteOffset: thread * SCRATCH_STRIDE, byteLength: SCRATCH_STRIDE };
}

/** Threads with one kernel each; together they fill one product, a slab of rows each. */
class Crew {
  readonly name: string;
  readonly #threads: readonly Worker[];

  constructor(name: string, source: KernelSource) {
    this.name = name;
    this.#threads = Array.from({ length: THREADS }, (_, index) => {
      const workerData: KernelThreadData = { source, memory, scratch: scratchOf(index) };
      return new Worker(new URL('./kernel-thread.js', import.meta.url), { workerData });
    });
  }

  async run(tile: GemmTile): Promise<void> {
    await Promise.all(this.#threads.map((thread, index) => fill(thread, slab(tile, index))));
  }

  async stop(): Promise<void> {
    await Promise.all(this.#threads.map(thread => thread.terminate()));
  }
}

function slab(tile: GemmTile, index: number): GemmTile {
  const start = Math.floor((tile.c.rows * index) / THREADS);
  const stop = Math.floor((tile.c.rows * (index + 1)) / THREADS);
  return {
    ...tile,
    a: sliceView(tile.a, start, stop, 0, tile.a.cols),
    c: sliceView(tile.c, start, stop, 0, tile.c.cols),
  };
}

function fill(thread: Worker, tile: GemmTile): Promise<void> {
  return new Promise((resolve, reject) => {
    thread.once('message', () => {
      thread.off('error', reject);
      resolve();
    });
    thread.once('error', reject);
    thread.postMessage(tile);
  });
}

function print(): void {
  const header = ['kernel', 'dtype', 'm', 'k', 'n', 'threads', 'GFLOP/s', '× numpy-ts'];
  const rows = figures.map(f => [
    f.kernel,
    f.dtype,
    ...[f.m, f.k, f.n, f.threads].map(String),
    f.gflops.toFixed(f.gflops < 10 ? 2 : 1),
    ratio(f),
  ]);
  process.stdout.write(`${machine()}\n\n${table([header, ...rows])}\n`);
}

/** Against the best peer on the same product, on however many threads it uses: one. */
function ratio(figure: Figure): string {
  const peer = figures.find(
    f =>
      f.kernel === 'numpy-ts' &&
      f.dtype === figure.dtype &&
      f.m === figure.m &&
      f.k === figure.k &&
      f.n === figure.n,
  );
  return peer ? (figure.gflops / peer.gflops).toFixed(2) : '';
}

await main();
