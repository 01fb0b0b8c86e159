// How fast is C = A·B, kernel by kernel, against the BLAS itself and against what npm offers? One thread, then two on
// row slabs, then a whole block of a job on two. After the table, what the kernels are meant to reach, and whether they did in this run.
//
//   npm run bench:kernels -- [--json] [--smoke] [float64 | float32] [SIDE…]
//
// --json prints a line a figure: {bench, kernel, dtype, m, n, k, threads, gflops}. --smoke is a run of seconds. A dtype
// and sides select: `float32 8 1024` measures the float32 products that have a side of 8 or of 1024, and no others.
// The BLAS is the one that `npm start` fetches, and is fetched here too; a smoke run takes what is there.
// On a shared machine the ratios of one run say more than its figures, and a second run says more than one.

import { Worker } from 'node:worker_threads';
import * as np from 'numpy-ts';
import { findBlas } from '../../deploy/local/blas.ts';
import { DTYPES, type Dtype, floatArray } from '../../shared/math/dtype.ts';
import { denseView, sliceView } from '../../shared/math/view.ts';
import type { GemmTile, Scratch } from '../../workers/kernels/kernel.ts';
import { createKernel, type KernelSource, scratchBytes } from '../../workers/kernels/source.ts';
import { seededRandom } from '../workers/kernels/fixture.ts';
import { availableSources } from '../workers/kernels/sources.ts';
import { Blocks } from './block.ts';
import { judge } from './claims.ts';
import { directBlas } from './direct-blas.ts';
import { type Figure, type Shape, square } from './figures.ts';
import type { KernelThreadData } from './kernel-thread.ts';
import { bestSeconds, type Contender, machine, table } from './measure.ts';
import { parseSelection } from './selection.ts';
import { loadTensorflow } from './tensorflow.ts';

const json = process.argv.includes('--json');
const smoke = process.argv.includes('--smoke');
const selection = parseSelection(process.argv.slice(2).filter(word => !word.startsWith('--')));
const SECONDS = smoke ? 0.001 : 0.6;
const THREADS = 2;
const SHAPES: readonly Shape[] = (
  smoke
    ? [{ m: 48, k: 48, n: 1 }]
    : [
        ...[8, 32, 64, 256].map(square),
        { m: 1024, k: 1024, n: 1 },
        { m: 1024, k: 1024, n: 8 },
        { m: 1, k: 1024, n: 1024 },
        { m: 8, k: 1024, n: 1024 },
        { m: 1024, k: 16, n: 1024 },
      ]
).filter(selection.hasShape);
/** Measured on one thread and on two in the same turns, so that the ratio of the two is of one moment. */
const THREADED_SHAPES = (smoke ? [48] : [1024, 2048]).map(square).filter(selection.hasShape);
const THREADED_SECONDS = 4 * SECONDS;
/** Too long for anybody but a BLAS. */
const NATIVE_SHAPES = (smoke ? [] : [square(4096)]).filter(selection.hasShape);

const SCRATCH_BYTES = Math.max(...(['native', 'wasm', 'reference'] as const).map(scratchBytes));
const SCRATCH_STRIDE = Math.ceil(SCRATCH_BYTES / 65536) * 65536;
const OPERANDS_AT = THREADS * SCRATCH_STRIDE;
const ALL_SHAPES = [...SHAPES, ...THREADED_SHAPES, ...NATIVE_SHAPES];
if (ALL_SHAPES.length === 0) throw new RangeError('no product of this benchmark has such a side');
const ELEMENTS = Math.max(...ALL_SHAPES.map(({ m, k, n }) => m * k + k * n + m * n));
const PAGES = Math.ceil((OPERANDS_AT + 8 * ELEMENTS) / 65536);
const memory = new WebAssembly.Memory({ initial: PAGES, maximum: PAGES, shared: true });

const absent: string[] = [];
if (!smoke) await findBlas('auto', line => absent.push(line));
const sources = availableSources();
const native = sources.get('native');
/** The reference is an oracle, and seconds slow past a small size. */
const fast = [...sources].filter(([name]) => name !== 'reference');
const figures: Figure[] = [];

const tensorflow = await loadTensorflow();

async function main(): Promise<void> {
  warnOfAbsentPeers();
  for (const dtype of selection.dtypes) {
    for (const shape of SHAPES) {
      fillOperands(dtype, shape);
      await measure(dtype, shape, [...singles(dtype, shape), ...peers(dtype, shape)], SECONDS);
    }
    await measureThreaded(dtype);
    if (native === undefined) continue;
    for (const shape of NATIVE_SHAPES) {
      fillOperands(dtype, shape);
      const contenders = [single('native', native, product(dtype, shape)), ...blas(dtype, shape)];
      await measure(dtype, shape, contenders, THREADED_SECONDS);
    }
  }
  if (!json) print();
}

async function measureThreaded(dtype: Dtype): Promise<void> {
  if (THREADED_SHAPES.length === 0) return;
  const crews = fast.map(([name, source]) => new Crew(name, source));
  const blocks = new Blocks(Math.max(...THREADED_SHAPES.map(({ m }) => m)), THREADS);
  for (const shape of THREADED_SHAPES) {
    fillOperands(dtype, shape);
    const tile = product(dtype, shape);
    const pairs = crews.map(({ name, run }) => ({ name, threads: THREADS, run: () => run(tile) }));
    const ofBlocks = blocks.contend(dtype, shape.m);
    const contenders = [...singles(dtype, shape), ...pairs, ...ofBlocks.contenders, ...peers(dtype, shape)];
    await measure(dtype, shape, contenders, THREADED_SECONDS);
    ofBlocks.free();
  }
  await Promise.all([...crews.map(crew => crew.stop()), blocks.close()]);
}

async function measure(
  dtype: Dtype,
  shape: Shape,
  contenders: readonly Contender[],
  secondsEach: number,
): Promise<void> {
  const best = await bestSeconds(contenders, secondsEach);
  for (const [{ name: kernel, threads = 1 }, seconds] of best) {
    const gflops = (2 * shape.m * shape.k * shape.n) / seconds / 1e9;
    const figure: Figure = { bench: 'kernels', kernel, dtype, ...shape, threads, gflops };
    figures.push(figure);
    if (json) process.stdout.write(`${JSON.stringify(figure)}\n`);
  }
}

/** Dense row-major operands behind the scratch. */
function product(dtype: Dtype, { m, k, n }: Shape): GemmTile {
  const offset = OPERANDS_AT / DTYPES[dtype].bytes;
  const a = denseView(m, k, offset);
  const b = denseView(k, n, offset + m * k);
  return { dtype, alpha: 1, a, b, beta: 0, c: denseView(m, n, offset + m * k + k * n) };
}

/** Numbers of one size; subnormal ones would be another benchmark. */
function fillOperands(dtype: Dtype, { m, k, n }: Shape): void {
  const random = seededRandom(1);
  const operands = floatArray(dtype, memory.buffer, OPERANDS_AT, m * k + k * n);
  for (let e = 0; e < operands.length; e++) operands[e] = random();
}

function singles(dtype: Dtype, shape: Shape): Contender[] {
  const tile = product(dtype, shape);
  const isSmall = shape.m * shape.k * shape.n <= 256 ** 3;
  const kernels = isSmall ? [...sources] : fast;
  return [...kernels.map(([name, source]) => single(name, source, tile)), ...blas(dtype, shape)];
}

function single(name: string, source: KernelSource, tile: GemmTile): Contender {
  const kernel = createKernel(source, memory, scratchOf(0));
  return { name, run: () => kernel.gemm(tile) };
}

/** The library of the native kernel, where there is one. */
function blas(dtype: Dtype, shape: Shape): Contender[] {
  if (native?.name !== 'native') return [];
  return [directBlas(native.libraryPath, memory, product(dtype, shape))];
}

/** What npm offers for the same product. */
function peers(dtype: Dtype, shape: Shape): Contender[] {
  return [numpy(dtype, shape), ...(dtype === 'float32' && tensorflow ? [tensorflow(shape)] : [])];
}

/** A figure that is missing from the tables should not look like one that nobody wanted. */
function warnOfAbsentPeers(): void {
  if (native === undefined) absent.push('NO BLAS: nothing is said about the native kernel or against a BLAS');
  if (tensorflow === undefined) {
    absent.push(
      'NO tfjs-backend-wasm: npm install --no-save @tensorflow/tfjs-core @tensorflow/tfjs-backend-wasm',
    );
  }
  for (const line of absent) process.stderr.write(`${line}\n`);
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

  readonly run = async (tile: GemmTile): Promise<void> => {
    await Promise.all(this.#threads.map((thread, index) => fill(thread, slab(tile, index))));
  };

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
  const header = ['kernel', 'dtype', 'm', 'k', 'n', 'threads', 'GFLOP/s', '× BLAS', '× numpy-ts', '× tfjs'];
  const rows = figures.map(f => [
    f.kernel,
    f.dtype,
    ...[f.m, f.k, f.n, f.threads].map(String),
    f.gflops.toFixed(f.gflops < 10 ? 2 : 1),
    ratio(f, 'blas'),
    ratio(f, 'numpy-ts'),
    ratio(f, 'tfjs-wasm'),
  ]);
  process.stdout.write(`${machine()}\n\n${table([header, ...rows])}\n`);
  const claims = smoke ? [] : judge(figures, selection);
  if (claims.length === 0) return;
  const claimsHeader = ['what, threads', 'against, threads', 'dtype', 'size', 'ratio', 'wanted', ''];
  process.stdout.write(`\n${table([claimsHeader, ...claims])}\n`);
}

/** Against a peer on the same product, on the one thread that it uses. */
function ratio(figure: Figure, peer: string): string {
  const other = figures.find(
    f =>
      f.kernel === peer &&
      f.dtype === figure.dtype &&
      f.m === figure.m &&
      f.k === figure.k &&
      f.n === figure.n,
  );
  return other ? (figure.gflops / other.gflops).toFixed(2) : '';
}

await main();
