// How many small jobs a second does the whole service finish, one by one and by batch, and how long does one take?
// Real gateway, Redis and worker; beside them what BullMQ alone does on the same Redis in the same run. The memory of
// all three is printed before and after: what has ended must not stay. Then one large array, up and down, beside copying
// its file.
//
//   npm run bench:http -- [--json] [--jobs N] [--mib N]      of each kind, N jobs; an array of N MiB

import { Agent, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Queue, Worker } from 'bullmq';
import { connectRedis } from '../../shared/io/redis.ts';
import { type Stack, startStack } from '../support/processes.ts';
import { machine, table } from './measure.ts';
import { formatMemory, type Memory, memoryOf } from './memory.ts';
import { measureTransfers, type TransferFigure } from './transfer.ts';

interface Figure {
  readonly bench: 'http';
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
    bench: 'http',
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

/** Node's own client costs a third of fetch: on two cores it is a part of what is measured. */
function createPoster(url: string, connections: number) {
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  const post = (path: string, type: string, text: string) =>
    new Promise<{ status: number; text: string }>((resolve, reject) => {
      const headers = { 'Content-Type': type, Prefer: 'wait=30', 'Content-Length': Buffer.byteLength(text) };
      const sent = request(`${url}${path}`, { method: 'POST', agent, headers }, response => {
        const pieces: Buffer[] = [];
        response.on('data', (piece: Buffer) => pieces.push(piece));
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, text: Buffer.concat(pieces).toString() }),
        );
      });
      sent.on('error', reject);
      sent.end(text);
    });
  return { post, close: () => agent.destroy() };
}

async function measureSingle(url: string, connections: number, jobs: number): Promise<Figure> {
  const { post, close } = createPoster(url, connections);
  const figure = await measure('jvp 8×8, Prefer: wait', connections, jobs, async () => {
    const { status, text } = await post('/v1/jobs', 'application/json', body);
    const { state } = JSON.parse(text) as { state: string };
    if (status !== 200 || state !== 'succeeded') throw new Error(`a job ended ${state}`);
  });
  close();
  return figure;
}

const LINES = 2_000;
const BATCHES_AT_ONCE = 2;
/** Looking costs the gateway a millisecond, of the cores that are being measured. */
const LOOK_MS = 100;

/** Lines of batches of at most LINES, two of them at a time, until the last job has succeeded. */
async function measureBatches(url: string, jobs: number): Promise<Figure> {
  const { post, close } = createPoster(url, BATCHES_AT_ONCE);
  const lines = Math.min(LINES, Math.ceil(jobs / BATCHES_AT_ONCE));
  const count = Math.ceil(jobs / lines);
  const text = `${body}\n`.repeat(lines);
  const figure = await measure(`batches of ${lines}`, BATCHES_AT_ONCE, count, async () => {
    const { status, text: answer } = await post('/v1/batches', 'application/x-ndjson', text);
    if (status !== 202) throw new Error(answer);
    const { links } = JSON.parse(answer) as { links: { self: string } };
    for (;;) {
      const { counts } = (await (await fetch(`${url}${links.self}`)).json()) as {
        counts: Record<string, number>;
      };
      if (counts.succeeded === lines) return;
      if (counts.queued === 0 && counts.running === 0) throw new Error('a job of a batch did not succeed');
      await sleep(LOOK_MS);
    }
  });
  close();
  return { ...figure, jobs: count * lines, jobsPerSecond: figure.jobsPerSecond * lines };
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
  const { values } = parseArgs({
    options: {
      json: { type: 'boolean' },
      jobs: { type: 'string', default: '5000' },
      mib: { type: 'string', default: '1024' },
    },
  });
  const jobs = Number(values.jobs);
  const stack = await startStack();
  try {
    await measureSingle(stack.url, 16, Math.min(jobs, 1_000));
    const memories = [await memoryOf(stack)];
    const figures: Figure[] = [];
    for (const connections of [1, 32]) {
      const count = connections === 1 ? Math.ceil(jobs / 10) : jobs;
      figures.push(await measureSingle(stack.url, connections, count));
      figures.push(await measureBullmq(stack, connections, count));
    }
    memories.push(await memoryOf(stack));
    figures.push(await measureBatches(stack.url, jobs * 2));
    memories.push(await memoryOf(stack));
    const transfers = await measureTransfers(stack, Number(values.mib));
    if (values.json) for (const figure of [...figures, ...transfers]) console.log(JSON.stringify(figure));
    else print(figures, memories, transfers);
  } finally {
    await stack.stop();
  }
}

function print(
  figures: readonly Figure[],
  memories: readonly Memory[],
  transfers: readonly TransferFigure[],
): void {
  const rows = figures.map(({ what, connections, jobs, jobsPerSecond, p50Ms, p99Ms }) => {
    const peer =
      figures.find(other => other.what === 'BullMQ alone' && other.connections === connections) ??
      figures.findLast(other => other.what === 'BullMQ alone')!; // it has been measured
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
  console.log(`\nmemory, MiB:\n${memories.map(formatMemory).join('\n')}\n`);
  const copying = transfers[0]!.seconds; // it comes first
  const mib = (transfers[0]!.bytes / 2 ** 20).toFixed(0);
  const transferRows = transfers.map(({ what, seconds, bytes }) => [
    what,
    seconds.toFixed(2),
    (bytes / seconds / 2 ** 20).toFixed(0),
    (copying / seconds).toFixed(2),
  ]);
  console.log(table([[`an array of ${mib} MiB`, 's', 'MiB/s', 'ratio to copying'], ...transferRows]));
}

await main();
