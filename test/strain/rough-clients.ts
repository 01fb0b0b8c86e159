// Clients that break off in the middle of an upload, and clients that send a little now and then, while one that does
// neither goes on as if they were not there. Afterwards the gateway holds no more than before: no file, no descriptor,
// and no memory that a second round would add to.

import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type LiveTimes, probeLive } from '../support/live-probe.ts';
import { encodeNpy } from '../support/npy.ts';
import { quantile } from '../support/quantile.ts';
import { createRandom, type Random } from '../support/random.ts';
import { startTestRedis } from '../support/redis.ts';
import { type GatewayProcess, startGatewayProcess } from '../system/gateway-process.ts';

const MIB = 1024 * 1024;
const LANES = 16;
/** Different uploads, of all kinds and many sizes. */
const UPLOADS = 32;
const SLOW_PIECE_BYTES = 1024;
const SLOW_EVERY_MS = 250;
const FAST_SIDE = 512;
/** Different arrays of the fast client. */
const FAST_MARKS = 8;
const SETTLE_MS_MAX = 15_000;
const MEMORY_BYTES_MAX = 512 * MIB;
/** What the allocator keeps for the next time, and does not grow by again. */
const ROUND_BYTES_MAX = 48 * MIB;

export interface RoughOptions {
  readonly seed: number;
  /** Uploads that break off. */
  readonly aborted: number;
  /** Uploads that crawl, all at the same time. */
  readonly slow: number;
  readonly slowSeconds: number;
  readonly rounds: number;
}

export interface RoughReport {
  readonly aborted: number;
  /** Of the slow ones, how many were told to come again. */
  readonly slowRefused: number;
  /** Of the fast client beside them: uploads of 2 MiB. */
  readonly fast: { readonly uploads: number; readonly p50Ms: number; readonly maxMs: number };
  readonly live: LiveTimes;
  readonly descriptors: { readonly before: number; readonly after: number };
  /** At the end of each round. */
  readonly memoryMiB: readonly number[];
  readonly memoryHighestMiB: number;
}

/** @throws AssertionError where something was leaked or somebody was not served */
export async function runRoughClients(options: RoughOptions): Promise<RoughReport> {
  const redis = await startTestRedis();
  const gateway = await startGatewayProcess({ FRECHET_REDIS_URL: redis.url });
  try {
    return await strain(gateway, options);
  } finally {
    await gateway.stop();
    await redis.stop();
  }
}

async function strain(gateway: GatewayProcess, options: RoughOptions): Promise<RoughReport> {
  const random = createRandom(options.seed);
  const port = Number(new URL(gateway.url).port);
  const uploads = makeUploads(random);
  const fast = makeFastUploads();
  await uploadFast(gateway.url, fast[0]!);
  const before = await countDescriptors(gateway);
  const probe = probeLive(gateway.url);
  const memory: number[] = [];
  const fastMs: number[] = [];
  let slowRefused = 0;
  for (let round = 0; round < options.rounds; round += 1) {
    await abortUploads(port, options.aborted, uploads, random);
    const slow = crawl(port, options.slow, options.slowSeconds);
    fastMs.push(...(await uploadBeside(gateway.url, fast, slow.ended)));
    slowRefused += await slow.ended;
    await settled(gateway, before);
    memory.push((await gateway.memory()).current);
  }
  const live = await probe.stop();
  assert.equal(live.failures, 0, 'it is alive all the time');
  await assertNothingElse(gateway.url);
  const { highest } = await gateway.memory();
  assert.ok(highest < MEMORY_BYTES_MAX, `${highest} bytes of memory`);
  const [first, last] = [memory[0] ?? 0, memory.at(-1) ?? 0];
  assert.ok(last - first < ROUND_BYTES_MAX, `memory grows from round to round: ${memory}`);
  assert.doesNotMatch(gateway.log(), /"level":"(error|fatal)"/);
  return {
    aborted: options.aborted * options.rounds,
    slowRefused,
    fast: {
      uploads: fastMs.length,
      p50Ms: Math.round(quantile(fastMs, 0.5)),
      maxMs: Math.round(Math.max(...fastMs)),
    },
    live,
    descriptors: { before, after: await countDescriptors(gateway) },
    memoryMiB: memory.map(bytes => Math.round(bytes / MIB)),
    memoryHighestMiB: Math.round(highest / MIB),
  };
}

async function abortUploads(
  port: number,
  count: number,
  uploads: readonly Buffer[],
  random: Random,
): Promise<void> {
  let begun = 0;
  const lane = async (own: Random) => {
    while (begun < count) {
      begun += 1;
      await abortUpload(port, own.pick(uploads), own);
    }
  };
  await Promise.all(Array.from({ length: LANES }, () => lane(random.fork())));
}

/** Sends an upload to a random byte short of its end, in pieces, then hangs up, politely or not. */
async function abortUpload(port: number, bytes: Buffer, random: Random): Promise<void> {
  const cutAt = random.below(bytes.length);
  const socket = await opened(port);
  for (let at = 0; at < cutAt; ) {
    const stop = Math.min(cutAt, at + 1 + random.below(256 * 1024));
    if (!socket.write(bytes.subarray(at, stop))) await drained(socket);
    at = stop;
    if (random.below(4) === 0) await sleep(random.below(10));
  }
  if (random.below(2) === 0) socket.resetAndDestroy();
  else socket.destroy();
}

/** Made once: what the driver computes meanwhile, the prober would count as the gateway's delay. */
function makeUploads(random: Random): Buffer[] {
  return Array.from({ length: UPLOADS }, (_, index) => {
    const side = 1 + random.below(400);
    const values = new Array<number>(side * side).fill(0.125);
    const npy = encodeNpy({ shape: [side, side], dtype: 'float64', order: 'C', values });
    switch (index % 4) {
      case 0:
        return post('/v1/arrays', 'application/x-npy', npy);
      case 1:
        return post('/v1/arrays', 'application/json', Buffer.from(JSON.stringify(values)));
      case 2:
        return chunked('/v1/arrays', 'application/x-npy', npy);
      default: {
        const head = '--x\r\nContent-Disposition: form-data; name="A"\r\n\r\n';
        return post(
          '/v1/jobs',
          'multipart/form-data; boundary=x',
          Buffer.concat([Buffer.from(head), npy]),
          64,
        );
      }
    }
  });
}

/** @param more bytes that are announced and never come */
function post(path: string, type: string, body: Uint8Array, more = 0): Buffer {
  const head = `POST ${path} HTTP/1.1\r\nHost: a\r\nContent-Type: ${type}\r\nContent-Length: ${body.length + more}\r\n\r\n`;
  return Buffer.concat([Buffer.from(head), body]);
}

function chunked(path: string, type: string, body: Uint8Array): Buffer {
  const head = `POST ${path} HTTP/1.1\r\nHost: a\r\nContent-Type: ${type}\r\nTransfer-Encoding: chunked\r\n\r\n`;
  const size = `${body.length.toString(16)}\r\n`;
  return Buffer.concat([Buffer.from(head + size), body, Buffer.from('\r\n0\r\n\r\n')]);
}

/** `ended` answers how many of them were refused. */
function crawl(port: number, count: number, seconds: number): { readonly ended: Promise<number> } {
  const npy = encodeNpy({ shape: [1024], dtype: 'float64', order: 'C', values: new Array(1024).fill(1) });
  const head = npy
    .subarray(0, npy.length - 8192)
    .toString('latin1')
    .replace('(1024,)', '(9999,)');
  const upload = post('/v1/arrays', 'application/x-npy', Buffer.from(head, 'latin1'), 8 * 9999);
  const one = async (): Promise<boolean> => {
    const socket = await opened(port);
    let answer = '';
    socket.setEncoding('latin1').on('data', piece => {
      answer += piece;
    });
    socket.write(upload);
    const end = performance.now() + seconds * 1000;
    while (performance.now() < end && answer === '' && !socket.destroyed) {
      await sleep(SLOW_EVERY_MS);
      socket.write(new Uint8Array(SLOW_PIECE_BYTES));
    }
    socket.destroy();
    if (answer !== '')
      assert.match(answer, /^HTTP\/1\.1 503 [\s\S]*Retry-After: \d/, 'a slow one is told to come again');
    return answer !== '';
  };
  const all = Promise.all(Array.from({ length: count }, one));
  return { ended: all.then(refused => refused.filter(Boolean).length) };
}

/** Milliseconds of each upload until `over`. */
async function uploadBeside(
  url: string,
  bodies: readonly FastUpload[],
  over: Promise<unknown>,
): Promise<number[]> {
  const times: number[] = [];
  let isOver = false;
  void over.finally(() => {
    isOver = true;
  });
  while (!isOver) {
    const startedAt = performance.now();
    await uploadFast(url, bodies[times.length % bodies.length]!);
    times.push(performance.now() - startedAt);
    await sleep(50);
  }
  return times;
}

type FastUpload = ReturnType<typeof encodeNpy>;

function makeFastUploads(): FastUpload[] {
  return Array.from({ length: FAST_MARKS }, (_, mark) => {
    const values = new Array<number>(FAST_SIDE * FAST_SIDE).fill(mark);
    return encodeNpy({ shape: [FAST_SIDE, FAST_SIDE], dtype: 'float64', order: 'C', values });
  });
}

async function uploadFast(url: string, body: FastUpload): Promise<void> {
  const response = await fetch(`${url}/v1/arrays`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/x-npy' },
    body,
  });
  assert.ok(response.status === 201 || response.status === 200, await response.text());
  await response.arrayBuffer().catch(() => undefined);
}

/** Descriptors and temporary files come back to what they were. */
async function settled(gateway: GatewayProcess, descriptors: number): Promise<void> {
  const deadline = performance.now() + SETTLE_MS_MAX;
  for (;;) {
    const now = await countDescriptors(gateway);
    const temporary = await readdir(join(gateway.dataDir, 'store', 'tmp'));
    // The connections of the fast client and the prober may be kept, or new.
    if (now <= descriptors + 2 && temporary.length === 0) return;
    assert.ok(
      performance.now() < deadline,
      `${now} descriptors of ${descriptors}, ${temporary.length} files`,
    );
    await sleep(100);
  }
}

async function countDescriptors({ process }: GatewayProcess): Promise<number> {
  return (await readdir(`/proc/${process.pid}/fd`)).length;
}

/** Nothing is there but what the fast client stored. */
async function assertNothingElse(url: string): Promise<void> {
  const list = async (path: string) =>
    (await (await fetch(url + path)).json()) as { data: { shape: number[] }[] };
  const { data: arrays } = await list('/v1/arrays?limit=500');
  assert.deepEqual(
    arrays.filter(({ shape }) => shape[0] !== FAST_SIDE || shape.length !== 2),
    [],
  );
  assert.ok(arrays.length <= FAST_MARKS);
  assert.deepEqual((await list('/v1/jobs')).data, []);
}

function opened(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => resolve(socket));
    socket.once('error', reject);
    socket.on('error', () => undefined);
  });
}

/** Until there is room again, or the connection is gone. */
function drained(socket: Socket): Promise<void> {
  return new Promise(resolve => {
    const settle = () => {
      socket.off('drain', settle).off('close', settle);
      resolve();
    };
    socket.on('drain', settle).on('close', settle);
  });
}
