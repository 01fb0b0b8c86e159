// What a second worker is worth, what a block costs beside its arithmetic, how a whole job compares with NumPy that loads,
// multiplies and saves the same files with as many threads, a Jacobian with copying as many bytes into the store, and what
// memory a hundred thousand small jobs leave behind.
// Real gateway, workers and Redis; every product of the large jobs is checked exactly.
//
//   npm run bench:scale -- [--json] [--kernel NAME] [--side N] [--jobs N] [--soak N] [--numpy-side N] [--jacobian-columns P] [PART…]
//
// Parts are blocks, jobs, overhead, soak, numpy and jacobian; all of them where none is named. A kernel is what FRECHET_KERNEL
// takes, and counts for blocks and jobs: the faster it is, the more of two cores is Redis, the gateway and the disk.

import { execFile } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs, promisify } from 'node:util';
import { computeCores } from '../../shared/io/cores.ts';
import { openFileStore } from '../../shared/io/store/file-store.ts';
import { createClient, type JobDocument } from '../support/client.ts';
import { startStack } from '../support/processes.ts';
import { type IntegerMatrix, integersOf, isRight, npyBytes, uploadIntegers } from './integer-operands.ts';
import { machine, table } from './measure.ts';
import { formatMemory, type Memory, memoryOf } from './memory.ts';

const PARTS = ['blocks', 'jobs', 'overhead', 'soak', 'numpy', 'jacobian'] as const;
type Part = (typeof PARTS)[number];
const RUNS = 3;
/** Looking costs the gateway and this process five milliseconds, of cores that are being measured. */
const LOOK_MS = 500;
/** Many products of this shape are much arithmetic for what they load and store: what workers are for. One block each. */
const HEAVY = { rows: 1024, inner: 4096, jobs: 24 };
/** Of this side a product is all overhead, and still no slice. */
const LIGHT_SIDE = 128;

interface Figure {
  readonly bench: 'scale';
  readonly what: Part;
  readonly workers: number;
  readonly threads: number;
  readonly seconds: number;
  readonly blocks: number;
  /** Of `overhead`: milliseconds of each block that are not arithmetic: everything else, loading too. */
  readonly overheadMs?: number;
  /** Of `soak`: what the processes held before, after each round, and at most while one ran. */
  readonly memory?: { readonly before: Memory; readonly after: readonly Memory[]; readonly peak: Memory };
  /** Of `numpy`: what it took; null where there is no NumPy. */
  readonly numpySeconds?: number | null;
  /** Of `jacobian`: what it took to store the same bytes. */
  readonly copySeconds?: number;
}

interface Sizes {
  readonly side: number;
  readonly jobs: number;
  readonly kernel: string;
}

type Client = ReturnType<typeof createClient>;

/** One worker and two, of one thread each, doing one job of many blocks and then many jobs of one. */
async function measureWorkers(parts: ReadonlySet<Part>, workers: number, sizes: Sizes): Promise<Figure[]> {
  const env = { FRECHET_THREADS: '1', FRECHET_MEMORY_BYTES: '2GiB', FRECHET_KERNEL: sizes.kernel };
  const stack = await startStack({ workers, env });
  const figure = { bench: 'scale' as const, workers, threads: 1 };
  try {
    const client = createClient(stack.url);
    const figures: Figure[] = [];
    if (parts.has('blocks')) {
      const [a, h] = [integersOf(sizes.side, sizes.side, 1), integersOf(sizes.side, sizes.side, 2)];
      const { seconds, job } = await computeLarge(client, a, h);
      figures.push({ ...figure, what: 'blocks', seconds, blocks: job.progress.blocksTotal });
    }
    if (parts.has('jobs')) {
      const { rows, inner, jobs } = HEAVY;
      const { seconds } = await best(() => computeMany(client, rows, inner, jobs));
      figures.push({ ...figure, what: 'jobs', seconds, blocks: jobs });
    }
    if (parts.has('overhead') && workers === 1) {
      const { seconds, computeSeconds } = await best(() =>
        computeMany(client, LIGHT_SIDE, LIGHT_SIDE, sizes.jobs),
      );
      const overheadMs = ((seconds - computeSeconds) / sizes.jobs) * 1000;
      figures.push({ ...figure, what: 'overhead', seconds, blocks: sizes.jobs, overheadMs });
    }
    return figures;
  } finally {
    await stack.stop();
  }
}

async function best<T extends { readonly seconds: number }>(run: () => Promise<T>): Promise<T> {
  const all: T[] = [];
  while (all.length < RUNS) all.push(await run());
  return all.reduce((a, b) => (b.seconds < a.seconds ? b : a));
}

/** The best of RUNS; in the first, arrays also have to be read from the disk. */
async function computeLarge(client: Client, a: IntegerMatrix, h: IntegerMatrix) {
  const [A, direction] = [await uploadIntegers(client.url, a), await uploadIntegers(client.url, h)];
  const fastest = await best(async () => {
    const start = performance.now();
    const submitted = await client.submit(
      { operation: 'jvp', operands: { A }, direction },
      { Prefer: 'wait=30' },
    );
    const job = await client.until(submitted.id);
    return { seconds: (performance.now() - start) / 1000, job };
  });
  if (fastest.job.state !== 'succeeded') throw new Error(JSON.stringify(fastest.job.error));
  if (!(await isRight(client.url, fastest.job.id, a, h))) throw new Error('the result is wrong');
  return fastest;
}

/** A batch of equal products, rows×inner by inner×rows: seconds from its submission to the end of its last job, and those in which one was computed. */
async function computeMany(client: Client, rows: number, inner: number, jobs: number) {
  const A = await uploadIntegers(client.url, integersOf(rows, inner, 3));
  const direction = await uploadIntegers(client.url, integersOf(inner, rows, 4));
  const line = JSON.stringify({ operation: 'jvp', operands: { A }, direction });
  const startMs = Date.now();
  const headers = { 'Content-Type': 'application/x-ndjson' };
  const answer = await client.post('/v1/batches', `${line}\n`.repeat(jobs), headers);
  const { links } = (await answer.json()) as { links: { self: string } };
  await untilSucceeded(client, links.self, jobs);
  const ended = await jobsOf(client, links.self);
  const lastMs = Math.max(...ended.map(({ finishedAt }) => Date.parse(finishedAt!))); // they have succeeded
  const computeSeconds = ended.reduce((sum, { timings }) => sum + (timings?.computeSeconds ?? 0), 0);
  return { seconds: (lastMs - startMs) / 1000, computeSeconds };
}

async function untilSucceeded(client: Client, path: string, jobs: number): Promise<void> {
  for (;;) {
    const { counts } = (await (await client.get(path)).json()) as { counts: Record<string, number> };
    if (counts.succeeded === jobs) return;
    if (counts.queued === 0 && counts.running === 0) throw new Error('a job of a batch did not succeed');
    await sleep(LOOK_MS);
  }
}

async function jobsOf(client: Client, path: string): Promise<JobDocument[]> {
  const lines = (await (await client.get(`${path}/jobs`)).text()).trim().split('\n');
  return lines.map(line => (JSON.parse(line) as { job: JobDocument }).job);
}

/** So many lines a batch; all batches of a round wait at once. */
const SOAK_LINES = 10_000;
const SAMPLE_MS = 500;

/** Rounds of `jobs` small jobs, queued all at once: what a process holds after the last it held after the first. */
async function measureSoak(jobs: number): Promise<Figure> {
  const stack = await startStack();
  try {
    const client = createClient(stack.url);
    const matrix = [
      [1, 2],
      [3, 4],
    ];
    const line = JSON.stringify({
      operation: 'jvp',
      operands: { A: { data: matrix } },
      direction: { data: matrix },
    });
    const lines = Math.min(SOAK_LINES, jobs);
    const body = `${line}\n`.repeat(lines);
    const round = async () => {
      const headers = { 'Content-Type': 'application/x-ndjson' };
      const batches: string[] = [];
      for (let count = 0; count < jobs; count += lines) {
        const answer = await client.post('/v1/batches', body, headers);
        batches.push(((await answer.json()) as { links: { self: string } }).links.self);
      }
      for (const path of batches) await untilSucceeded(client, path, lines);
    };
    const before = await memoryOf(stack);
    let peak = before;
    const sampler = setInterval(() => {
      void memoryOf(stack).then(now => (peak = largestOf(peak, now)));
    }, SAMPLE_MS);
    const after: Memory[] = [];
    const start = performance.now();
    while (after.length < RUNS) {
      await round();
      after.push(await memoryOf(stack));
    }
    clearInterval(sampler);
    const seconds = (performance.now() - start) / 1000 / RUNS;
    const memory = { before, after, peak };
    return {
      bench: 'scale',
      what: 'soak',
      workers: 1,
      threads: computeCores(),
      seconds,
      blocks: jobs,
      memory,
    };
  } finally {
    await stack.stop();
  }
}

function largestOf(a: Memory, b: Memory): Memory {
  return {
    gateway: Math.max(a.gateway, b.gateway),
    workers: a.workers.map((mib, index) => Math.max(mib, b.workers[index] ?? 0)),
    redis: Math.max(a.redis, b.redis),
  };
}

/** The whole way of a product whose operands are there: of a job, and of NumPy over files. */
async function measureNumpy(side: number): Promise<Figure> {
  const threads = computeCores();
  const [a, h] = [integersOf(side, side, 1), integersOf(side, side, 2)];
  const stack = await startStack({ env: { FRECHET_THREADS: String(threads) } });
  try {
    const { seconds, job } = await computeLarge(createClient(stack.url), a, h);
    const blocks = job.progress.blocksTotal;
    const numpySeconds = await numpy(threads, a, h);
    return { bench: 'scale', what: 'numpy', workers: 1, threads, seconds, blocks, numpySeconds };
  } finally {
    await stack.stop();
  }
}

const NUMPY_PROGRAM = `
import os, sys, time
import numpy
best = float('inf')
for _ in range(${RUNS}):
    start = time.perf_counter()
    product = numpy.load(sys.argv[1]) @ numpy.load(sys.argv[2])
    with open(sys.argv[3], 'wb') as file:
        numpy.save(file, product)
        file.flush()
        os.fsync(file.fileno())
    best = min(best, time.perf_counter() - start)
print(best)
`;

/** Seconds; null where there is no NumPy. */
async function numpy(threads: number, a: IntegerMatrix, h: IntegerMatrix): Promise<number | null> {
  const folder = await mkdtemp(join(tmpdir(), 'frechet-bench-'));
  try {
    const paths = ['a.npy', 'h.npy', 'c.npy'].map(name => join(folder, name));
    for (const [index, matrix] of [a, h].entries())
      await pipeline(Readable.from(npyBytes(matrix)), createWriteStream(paths[index]!));
    const { OPENBLAS_CORETYPE: _core, OPENBLAS_L2_SIZE: _cache, ...env } = process.env;
    const numbers = { OPENBLAS_NUM_THREADS: String(threads), OMP_NUM_THREADS: String(threads) };
    const run = promisify(execFile)('python3', ['-c', NUMPY_PROGRAM, ...paths], {
      env: { ...env, ...numbers },
    });
    return Number((await run).stdout);
  } catch (error) {
    console.error(`NumPy is not measured: ${(error as Error).message.split('\n').at(-2) ?? error}`);
    return null;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** A has so many rows and columns, W as many rows; the Jacobian I ⊗ A of W's columns is all writing. */
const JACOBIAN_SIDE = 64;

/** @param columns of W: the result is a square of JACOBIAN_SIDE times as many */
async function measureJacobian(columns: number): Promise<Figure> {
  const stack = await startStack({ env: { FRECHET_THREADS: String(computeCores()) } });
  try {
    const client = createClient(stack.url);
    const A = await uploadIntegers(client.url, integersOf(JACOBIAN_SIDE, JACOBIAN_SIDE, 1));
    const body = { operation: 'jacobian', operands: { A, W: { shape: [JACOBIAN_SIDE, columns] } } };
    const { seconds, job } = await best(async () => {
      const start = performance.now();
      const submitted = await client.submit(body, { Prefer: 'wait=30' });
      return { job: await client.until(submitted.id), seconds: (performance.now() - start) / 1000 };
    });
    if (job.state !== 'succeeded') throw new Error(JSON.stringify(job.error));
    const blocks = job.progress.blocksTotal;
    const copySeconds = await copyInto(join(stack.dataDir, 'copy'), job.result?.bytes ?? 0, blocks);
    return {
      bench: 'scale',
      what: 'jacobian',
      workers: 1,
      threads: computeCores(),
      seconds,
      blocks,
      copySeconds,
    };
  } finally {
    await stack.stop();
  }
}

/** Seconds in which so many bytes, in as many pieces, are put into a store on the same volume. */
async function copyInto(folder: string, bytes: number, pieces: number): Promise<number> {
  const store = await openFileStore(folder);
  const piece = new Uint8Array(Math.ceil(bytes / pieces)).fill(1);
  const fastest = await best(async () => {
    const start = performance.now();
    for (let index = 0; index < pieces; index++)
      await store.put(`copy/${index}`, [piece], { exclusive: false });
    return { seconds: (performance.now() - start) / 1000 };
  });
  return fastest.seconds;
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      json: { type: 'boolean' },
      kernel: { type: 'string', default: 'auto' },
      side: { type: 'string', default: '6144' },
      jobs: { type: 'string', default: '500' },
      soak: { type: 'string', default: '100000' },
      'numpy-side': { type: 'string', default: '4096' },
      'jacobian-columns': { type: 'string', default: '128' },
    },
  });
  const unknown = positionals.find(word => !PARTS.includes(word as Part));
  if (unknown !== undefined) throw new Error(`there is no part "${unknown}"; there are ${PARTS.join(', ')}`);
  const parts = new Set(positionals.length === 0 ? PARTS : (positionals as Part[]));
  const sizes = { side: Number(values.side), jobs: Number(values.jobs), kernel: values.kernel };
  const figures: Figure[] = [];
  for (const workers of parts.has('blocks') || parts.has('jobs') ? [1, 2] : [1])
    figures.push(...(await measureWorkers(parts, workers, sizes)));
  if (parts.has('soak')) figures.push(await measureSoak(Number(values.soak)));
  if (parts.has('jacobian')) figures.push(await measureJacobian(Number(values['jacobian-columns'])));
  if (parts.has('numpy')) figures.push(await measureNumpy(Number(values['numpy-side'])));
  if (values.json) for (const figure of figures) console.log(JSON.stringify(figure));
  else print(figures);
}

function print(figures: readonly Figure[]): void {
  const rows = figures.map(figure => [
    figure.what,
    String(figure.workers),
    String(figure.threads),
    String(figure.blocks),
    figure.seconds.toFixed(3),
    meaningOf(figure, figures),
  ]);
  console.log(`${machine()}\n`);
  console.log(table([['what', 'workers', 'threads', 'blocks', 's', 'that is'], ...rows]));
  for (const { memory } of figures) {
    if (memory === undefined) continue;
    const { before, after, peak } = memory;
    console.log(`\nmemory of the soak, MiB\nbefore: ${formatMemory(before)}`);
    for (const one of after) console.log(`after a round: ${formatMemory(one)}`);
    console.log(`at most: ${formatMemory(peak)}`);
  }
}

/** What a figure says beside another of the same run. */
function meaningOf(figure: Figure, figures: readonly Figure[]): string {
  const { what, workers, seconds, overheadMs, numpySeconds, copySeconds } = figure;
  if (overheadMs !== undefined) return `${overheadMs.toFixed(2)} ms a block beside its arithmetic`;
  if (numpySeconds != null)
    return `${(seconds / numpySeconds).toFixed(2)} of NumPy’s ${numpySeconds.toFixed(3)} s`;
  if (copySeconds !== undefined) return `${(copySeconds / seconds).toFixed(2)} of the rate of copying`;
  const alone = figures.find(other => other.what === what && other.workers === 1);
  if (workers === 1 || alone === undefined) return '';
  return `${(alone.seconds / seconds).toFixed(2)} times one worker`;
}

await main();
