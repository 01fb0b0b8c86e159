// Five times as many jobs as a worker can do, for minutes, from clients that do not wait for each other. What is accepted
// ends well; what is not is refused in words, with a time to come again; the gateway stays small, and alive.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type LiveTimes, probeLive } from '../support/live-probe.ts';
import { encodeNpy } from '../support/npy.ts';
import { type Stack, startStack } from '../support/processes.ts';
import { quantile } from '../support/quantile.ts';

const MIB = 1024 * 1024;
const KEY = 'key-for-an-overload';
const SIDE = 512;
const FACTOR = 5;
const CLOSED_CLIENTS = 6;
const TICK_MS = 20;
const MEMORY_BYTES_MAX = 512 * MIB;
const DRAIN_MS_MAX = 120_000;
/** Requests under way at the same time; what would come on top has not been sent. */
const UNDER_WAY_MAX = 400;

export interface OverloadOptions {
  /** For the measure of what can be done. */
  readonly calmSeconds: number;
  readonly seconds: number;
  /** What may wait; the rest is refused. */
  readonly queuedJobs: number;
}

export interface OverloadReport {
  /** Jobs a second of clients that wait for their results. */
  readonly capacity: number;
  readonly offered: number;
  readonly offeredPerSecond: number;
  readonly accepted: number;
  /** By status. */
  readonly refused: Readonly<Record<string, number>>;
  readonly retryAfterSeconds: { readonly p50: number; readonly max: number };
  /** Until the answer to a submission. */
  readonly submitMs: { readonly p50: number; readonly p99: number };
  readonly live: LiveTimes;
  readonly gatewayMemoryHighestMiB: number;
  /** From the last submission to the end of the last job. */
  readonly drainSeconds: number;
}

type Ask = (path: string, init?: RequestInit) => Promise<Response>;

/** @throws AssertionError where something accepted did not succeed, or somebody was refused without words */
export async function runOverload(options: OverloadOptions): Promise<OverloadReport> {
  const folder = await mkdtemp(join(tmpdir(), 'frechet-overload-'));
  const keyFile = join(folder, 'keys.json');
  const sha256 = createHash('sha256').update(KEY).digest('hex');
  await writeFile(
    keyFile,
    JSON.stringify([{ tenant: 'eager', sha256, limits: { queuedJobs: options.queuedJobs } }]),
  );
  const stack = await startStack({ env: { FRECHET_API_KEYS_FILE: keyFile, FRECHET_THREADS: '1' } });
  try {
    return await overload(stack, options);
  } finally {
    await stack.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

async function overload(stack: Stack, options: OverloadOptions): Promise<OverloadReport> {
  const ask: Ask = (path, init = {}) =>
    fetch(stack.url + path, { ...init, headers: { Authorization: `Bearer ${KEY}`, ...init.headers } });
  const job = await prepareJob(ask);
  await submitWaiting(ask, job);
  const capacity = await measureCapacity(ask, job, options.calmSeconds);
  const probe = probeLive(stack.url);
  const flood = await offer(ask, job, FACTOR * capacity, options.seconds);
  const live = await probe.stop();
  const drainStartedAt = performance.now();
  for (const id of flood.accepted) await assertSucceeds(ask, id, drainStartedAt + DRAIN_MS_MAX);
  assert.equal(live.failures, 0, 'it is alive all the time');
  const highest = await highestMemory(stack.gateway.pid);
  assert.ok(highest < MEMORY_BYTES_MAX, `${highest} bytes of memory`);
  assert.doesNotMatch(await stack.readLog(), /"level":"fatal"|"status":500/);
  return {
    capacity: Math.round(capacity),
    offered: flood.offered,
    offeredPerSecond: Math.round(flood.offered / options.seconds),
    accepted: flood.accepted.length,
    refused: flood.refused,
    retryAfterSeconds: {
      p50: quantile(flood.retryAfterSeconds, 0.5),
      max: Math.max(...flood.retryAfterSeconds),
    },
    submitMs: {
      p50: Math.round(quantile(flood.submitMs, 0.5)),
      p99: Math.round(quantile(flood.submitMs, 0.99)),
    },
    live,
    gatewayMemoryHighestMiB: Math.round(highest / MIB),
    drainSeconds: Math.round((performance.now() - drainStartedAt) / 1000),
  };
}

/** A product that takes a worker some milliseconds, of arrays that are uploaded once. Answers the body of its job. */
async function prepareJob(ask: Ask): Promise<string> {
  const upload = async (value: number) => {
    const values = new Array<number>(SIDE * SIDE).fill(value);
    const body = encodeNpy({ shape: [SIDE, SIDE], dtype: 'float64', order: 'C', values });
    const response = await ask('/v1/arrays', {
      method: 'POST',
      headers: { 'Content-Type': 'application/x-npy' },
      body,
    });
    return ((await response.json()) as { id: string }).id;
  };
  const [A, direction] = [await upload(1), await upload(2)];
  return JSON.stringify({ operation: 'jvp', operands: { A }, direction, expiresIn: 3600 });
}

function submit(ask: Ask, body: string, headers: Record<string, string> = {}): Promise<Response> {
  return ask('/v1/jobs', {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', ...headers },
    body,
  });
}

async function submitWaiting(ask: Ask, body: string): Promise<void> {
  const response = await submit(ask, body, { Prefer: 'wait=60' });
  const text = await response.text();
  assert.equal((JSON.parse(text) as { state?: string }).state, 'succeeded', text);
}

async function measureCapacity(ask: Ask, body: string, seconds: number): Promise<number> {
  const startedAt = performance.now();
  const end = startedAt + seconds * 1000;
  let done = 0;
  await Promise.all(
    Array.from({ length: CLOSED_CLIENTS }, async () => {
      while (performance.now() < end) {
        await submitWaiting(ask, body);
        done += 1;
      }
    }),
  );
  return (1000 * done) / (performance.now() - startedAt);
}

interface Flood {
  offered: number;
  readonly accepted: string[];
  readonly refused: Record<string, number>;
  readonly retryAfterSeconds: number[];
  readonly submitMs: number[];
}

/** Submits at this rate, whatever becomes of it. */
async function offer(ask: Ask, body: string, perSecond: number, seconds: number): Promise<Flood> {
  const flood: Flood = { offered: 0, accepted: [], refused: {}, retryAfterSeconds: [], submitMs: [] };
  const startedAt = performance.now();
  const underWay = new Set<Promise<void>>();
  for (;;) {
    const elapsed = (performance.now() - startedAt) / 1000;
    if (elapsed >= seconds) break;
    while (flood.offered < elapsed * perSecond && underWay.size < UNDER_WAY_MAX) {
      flood.offered += 1;
      const one = offerOne(ask, body, flood).finally(() => underWay.delete(one));
      underWay.add(one);
    }
    await sleep(TICK_MS);
  }
  await Promise.all(underWay);
  return flood;
}

async function offerOne(ask: Ask, body: string, flood: Flood): Promise<void> {
  const startedAt = performance.now();
  const response = await submit(ask, body);
  const text = await response.text();
  flood.submitMs.push(performance.now() - startedAt);
  if (response.status === 202) {
    flood.accepted.push((JSON.parse(text) as { id: string }).id);
    return;
  }
  assert.ok([429, 503, 507].includes(response.status), `${response.status} ${text}`);
  const seconds = Number(response.headers.get('retry-after'));
  assert.ok(Number.isInteger(seconds) && seconds >= 1, text);
  flood.retryAfterSeconds.push(seconds);
  flood.refused[response.status] = (flood.refused[response.status] ?? 0) + 1;
}

async function assertSucceeds(ask: Ask, id: string, deadline: number): Promise<void> {
  for (;;) {
    const response = await ask(`/v1/jobs/${id}`);
    const { state } = (await response.json()) as { state?: string };
    if (state === 'succeeded') return;
    assert.ok(state === 'queued' || state === 'running', `job ${id} is ${response.status} ${state}`);
    assert.ok(performance.now() < deadline, `job ${id} is still ${state}`);
    await sleep(100);
  }
}

async function highestMemory(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmHWM:\s+(\d+) kB/m.exec(status)?.[1]) * 1024;
}
