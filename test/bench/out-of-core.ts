// A product whose factor is larger than a worker's memory, against the same product in memory: A·H of integers, uploaded,
// computed by one worker, downloaded and checked exactly. Seconds are from submission to success.
//
//   npm run bench:out-of-core [-- --json] [--side N] [--columns P] [--memory 256MiB] [--threads T] [--kernel K]

import { readFile } from 'node:fs/promises';
import { request } from 'node:http';
import { availableParallelism } from 'node:os';
import { Readable } from 'node:stream';
import { parseArgs } from 'node:util';
import { encodeNpyHeader } from '../../shared/io/npy.ts';
import { createClient, type JobDocument } from '../support/client.ts';
import { type Stack, startStack } from '../support/processes.ts';
import { machine, table } from './measure.ts';

/** Memory in which nothing has to be streamed. */
const IN_CORE = '3GiB';
const ROWS_AT_ONCE = 64;

interface Matrix {
  readonly rows: number;
  readonly cols: number;
  /** A small integer. */
  at(i: number, j: number): number;
}

interface Figure {
  readonly bench: 'out-of-core';
  readonly memory: string;
  readonly seconds: number;
  readonly blocks: number;
  readonly timings: JobDocument['timings'];
  readonly workerPeakMib: number;
  readonly gatewayPeakMib: number;
}

function integersOf(rows: number, cols: number, seed: number): Matrix {
  return { rows, cols, at: (i, j) => ((i * 7 + j * 13 + ((i * j) % 11) + seed) % 9) - 4 };
}

function headerOf(rows: number, cols: number): Uint8Array {
  return encodeNpyHeader({ shape: [rows, cols], dtype: 'float64', order: 'C' });
}

async function* npyBytes({ rows, cols, at }: Matrix): AsyncGenerator<Uint8Array> {
  yield headerOf(rows, cols);
  for (let first = 0; first < rows; first += ROWS_AT_ONCE) {
    const count = Math.min(ROWS_AT_ONCE, rows - first);
    const piece = new Float64Array(count * cols);
    for (let i = 0; i < count; i++) for (let j = 0; j < cols; j++) piece[i * cols + j] = at(first + i, j);
    yield new Uint8Array(piece.buffer);
  }
}

async function upload(url: string, matrix: Matrix): Promise<string> {
  const length = headerOf(matrix.rows, matrix.cols).byteLength + matrix.rows * matrix.cols * 8;
  const answer = await new Promise<string>((resolve, reject) => {
    const headers = { 'Content-Type': 'application/x-npy', 'Content-Length': length };
    const sent = request(`${url}/v1/arrays`, { method: 'POST', headers }, response => {
      let text = '';
      response.setEncoding('utf8').on('data', piece => (text += piece));
      response.on('end', () => (response.statusCode === 201 ? resolve(text) : reject(new Error(text))));
    });
    sent.on('error', reject);
    Readable.from(npyBytes(matrix)).pipe(sent);
  });
  return (JSON.parse(answer) as { id: string }).id;
}

/** Whether C = A·H, by (C·x) against A·(H·x) for a vector of ±1, in integers. */
async function isRight(url: string, job: string, a: Matrix, h: Matrix): Promise<boolean> {
  const x = Float64Array.from({ length: h.cols }, () => (Math.random() < 0.5 ? -1 : 1));
  const hx = times(h, x);
  const ahx = times(a, hx);
  const response = await fetch(`${url}/v1/jobs/${job}/result`, {
    headers: { Accept: 'application/x-npy' },
  });
  if (!response.ok || response.body === null) throw new Error(await response.text());
  let [index, sum, isSame] = [0, 0, true];
  let header = headerOf(a.rows, h.cols).byteLength;
  let rest = Buffer.alloc(0);
  for await (const piece of response.body) {
    const skipped = Math.min(header, piece.byteLength);
    header -= skipped;
    const bytes = Buffer.concat([rest, piece.subarray(skipped)]);
    const whole = bytes.byteLength - (bytes.byteLength % 8);
    for (let at = 0; at < whole; at += 8, index++) {
      const j = index % h.cols;
      sum += bytes.readDoubleLE(at) * x[j]!;
      if (j < h.cols - 1) continue;
      isSame &&= sum === ahx[(index - j) / h.cols];
      sum = 0;
    }
    rest = bytes.subarray(whole);
  }
  return isSame && index === a.rows * h.cols;
}

function times({ rows, cols, at }: Matrix, x: Float64Array): Float64Array {
  return Float64Array.from({ length: rows }, (_, i) => {
    let sum = 0;
    for (let j = 0; j < cols; j++) sum += at(i, j) * x[j]!;
    return sum;
  });
}

async function peakMib(pid: number | undefined): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Math.round(Number(/VmHWM:\s+(\d+)/.exec(status)?.[1]) / 1024);
}

async function measure(env: NodeJS.ProcessEnv, memory: string, a: Matrix, h: Matrix): Promise<Figure> {
  const stack = await startStack({ env: { ...env, FRECHET_MEMORY_BYTES: memory } });
  try {
    return await measureOn(stack, memory, a, h);
  } finally {
    await stack.stop();
  }
}

async function measureOn(stack: Stack, memory: string, a: Matrix, h: Matrix): Promise<Figure> {
  const { url, gateway, workers } = stack;
  const client = createClient(url);
  const [A, direction] = [await upload(url, a), await upload(url, h)];
  const start = performance.now();
  const { id } = await client.submit({ operation: 'jvp', operands: { A }, direction });
  const job = await client.until(id);
  const seconds = (performance.now() - start) / 1000;
  if (job.state !== 'succeeded') throw new Error(JSON.stringify(job.error));
  if (!(await isRight(url, id, a, h))) throw new Error('the result is wrong');
  return {
    bench: 'out-of-core',
    memory,
    seconds,
    blocks: job.progress.blocksTotal,
    timings: job.timings,
    workerPeakMib: await peakMib(workers[0]?.pid),
    gatewayPeakMib: await peakMib(gateway.pid),
  };
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      json: { type: 'boolean' },
      side: { type: 'string', default: '16384' },
      columns: { type: 'string', default: '1024' },
      memory: { type: 'string', default: '256MiB' },
      threads: { type: 'string', default: String(availableParallelism()) },
      kernel: { type: 'string', default: 'auto' },
    },
  });
  const [side, columns] = [Number(values.side), Number(values.columns)];
  const [a, h] = [integersOf(side, side, 1), integersOf(side, columns, 2)];
  const env = { FRECHET_THREADS: values.threads, FRECHET_KERNEL: values.kernel };
  const figures = [await measure(env, IN_CORE, a, h), await measure(env, values.memory, a, h)];
  if (values.json) for (const figure of figures) console.log(JSON.stringify(figure));
  else print(figures, `${side}×${side} · ${side}×${columns}`);
}

function print(figures: readonly Figure[], what: string): void {
  const [inCore] = figures;
  const rows = figures.map(({ memory, seconds, blocks, timings, workerPeakMib, gatewayPeakMib }) => [
    memory,
    seconds.toFixed(2),
    (inCore!.seconds / seconds).toFixed(2), // it has been measured
    String(blocks),
    ...[timings?.loadSeconds, timings?.computeSeconds, timings?.verifySeconds].map(value =>
      (value ?? 0).toFixed(2),
    ),
    String(workerPeakMib),
    String(gatewayPeakMib),
  ]);
  console.log(`${machine()}\n${what}, float64\n`);
  const head = [
    'memory',
    's',
    'rate',
    'blocks',
    'load s',
    'compute s',
    'verify s',
    'worker MiB',
    'gateway MiB',
  ];
  console.log(table([head, ...rows]));
}

await main();
