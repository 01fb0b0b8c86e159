// A product whose factor is larger than a worker's memory, against the same product in memory: A·H of integers, uploaded,
// computed by one worker, downloaded and checked exactly. Seconds are from submission to success.
//
//   npm run bench:out-of-core [-- --json] [--side N] [--columns P] [--memory 256MiB] [--threads T] [--kernel K]

import { readFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { createClient, type JobDocument } from '../support/client.ts';
import { type Stack, startStack } from '../support/processes.ts';
import { type IntegerMatrix, integersOf, isRight, uploadIntegers } from './integer-operands.ts';
import { machine, table } from './measure.ts';

/** Memory in which nothing has to be streamed. */
const IN_CORE = '3GiB';
interface Figure {
  readonly bench: 'out-of-core';
  readonly memory: string;
  readonly seconds: number;
  readonly blocks: number;
  readonly timings: JobDocument['timings'];
  readonly workerPeakMib: number;
  readonly gatewayPeakMib: number;
}

async function peakMib(pid: number | undefined): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Math.round(Number(/VmHWM:\s+(\d+)/.exec(status)?.[1]) / 1024);
}

async function measure(
  env: NodeJS.ProcessEnv,
  memory: string,
  a: IntegerMatrix,
  h: IntegerMatrix,
): Promise<Figure> {
  const stack = await startStack({ env: { ...env, FRECHET_MEMORY_BYTES: memory } });
  try {
    return await measureOn(stack, memory, a, h);
  } finally {
    await stack.stop();
  }
}

async function measureOn(stack: Stack, memory: string, a: IntegerMatrix, h: IntegerMatrix): Promise<Figure> {
  const { url, gateway, workers } = stack;
  const client = createClient(url);
  const [A, direction] = [await uploadIntegers(url, a), await uploadIntegers(url, h)];
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
