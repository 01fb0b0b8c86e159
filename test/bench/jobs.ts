// How many jobs a second does the whole service finish, and how long does one take? Small jvp jobs over HTTP through
// a real gateway, Redis and worker; beside them what BullMQ alone does on the same Redis in the same run: the bound.
//
//   node dist/test/bench/jobs.js [--json] [--smoke]

import { parseArgs } from 'node:util';
import { Queue, Worker } from 'bullmq';
import { connectRedis } from '../../shared/io/redis.ts';
import { type Stack, startStack } from '../support/processes.ts';
import { machine, table } from './measure.ts';

interface Figure {
  readonly bench: 'jobs';
  readonly what: string;
  readonly connections: number;
  readonly jobs: number;
  readonly jobsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** Runs `one` `jobs` times, `connections` at a time. */
async function measure(
  what: string,
  connections: number,
  jobs: number,
  one: () => Promise<void>,
): Promise<Figure> {
  const times: number[] = [];
  let left = jobs;
  const lane = async () => {
    while (left > 0) {
      left -= 1;
      const start = performance.now();
      await one();
      times.push(performance.now() - start);
    }
  };
  const start = performance.now();
  await Promise.all(Array.from({ length: connections }, lane));
  const seconds = (performance.now() - start) / 1000;
  times.sort((a, b) => a - b);
  const quantile = (q: number) => times[Math.min(times.length - 1, Math.floor(q * times.length))] ?? 0;
  return {
    bench: 'jobs',
    what,
    connections,
    jobs,
    jobsPerSecond: jobs / seconds,
    p50Ms: quantile(0.5),
    p99Ms: quantile(0.99),
  };
}

const SIDE = 8;
const matrix = Array.from({ length: SIDE }, (_, i) => Array.from({ length: SIDE }, (_, j) => i - j));
const body = JSON.stringify({
  operation: 'jvp',
  operands: { A: { data: matrix } },
  direction: { data: matrix },
});

async function submitAndWait(url: string): Promise<void> {
  const headers = { 'Content-Type': 'application/json', Prefer: 'wait=30' };
  const response = await fetch(`${url}/v1/jobs`, { method: 'POST', headers, body });
  const job = (await response.json()) as { state: string };
  if (response.status !== 200 || job.state !== 'succeeded') throw new Error(`a job ended ${job.state}`);
}

/** BullMQ by itself: a job added, taken by a consumer in this process, its end noticed by a promise. */
async function measureBullmq({ redisUrl }: Stack, connections: number, jobs: number): Promise<Figure> {
  const connect = (role: 'producer' | 'consumer') => connectRedis(redisUrl, role, () => undefined);
  const [producer, consumer] = [connect('producer'), connect('consumer')];
  await producer.ping().catch(() => new Promise(resolve => producer.once('ready', resolve)));
  const queue = new Queue('bench', { connection: producer, prefix: '{bench}' });
  const waiting = new Map<string, () => void>();
  const worker = new Worker('bench', async job => waiting.get(job.id!)?.(), {
    connection: consumer,
    prefix: '{bench}',
    concurrency: 4,
  });
  await worker.waitUntilReady();
  let next = 0;
  const figure = await measure('BullMQ alone', connections, jobs, async () => {
    next += 1;
    const jobId = `n${next}`;
    const ended = new Promise<void>(resolve => waiting.set(jobId, resolve));
    await queue.add('job', {}, { jobId, removeOnComplete: true });
    await ended;
  });
  await worker.close();
  await queue.close();
  for (const redis of [producer, consumer]) redis.disconnect();
  return figure;
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { json: { type: 'boolean' }, smoke: { type: 'boolean' } } });
  const jobs = values.smoke ? 20 : 2000;
  const stack = await startStack();
  try {
    await measure('warm-up', 4, Math.min(jobs, 200), () => submitAndWait(stack.url));
    const figures: Figure[] = [];
    for (const connections of [1, 32]) {
      const count = connections === 1 ? Math.ceil(jobs / 5) : jobs;
      figures.push(
        await measure('jvp 8×8, Prefer: wait', connections, count, () => submitAndWait(stack.url)),
      );
      figures.push(await measureBullmq(stack, connections, count));
    }
    if (values.json) for (const figure of figures) console.log(JSON.stringify(figure));
    else print(figures);
  } finally {
    await stack.stop();
  }
}

function print(figures: readonly Figure[]): void {
  const rows = figures.map(({ what, connections, jobs, jobsPerSecond, p50Ms, p99Ms }) => {
    const peer = figures.find(other => other.what === 'BullMQ alone' && other.connections === connections)!;
    const ratio = (jobsPerSecond / peer.jobsPerSecond).toFixed(2);
    return [
      what,
      String(connections),
      String(jobs),
      jobsPerSecond.toFixed(0),
      p50Ms.toFixed(2),
      p99Ms.toFixed(2),
      ratio,
    ];
  });
  console.log(`${machine()}\n`);
  console.log(
    table([['what', 'connections', 'jobs', 'jobs/s', 'p50 ms', 'p99 ms', 'ratio to BullMQ'], ...rows]),
  );
}

await main();
