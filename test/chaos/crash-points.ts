// Real processes, killed at a chosen system call: a gateway while it accepts a job, a worker while it stores a block and
// ends the job. Afterwards nothing is there in part, and nothing that was promised is lost.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { REPOSITORY_ROOT } from '../../deploy/local/root.ts';
import { type Role, superviseRole } from '../../deploy/local/supervise.ts';
import { type Client, createClient, inline, type JobDocument } from '../support/client.ts';
import { integers, product } from '../support/integers.ts';
import { isAlive } from '../support/is-alive.ts';
import { startTestRedis } from '../support/redis.ts';
import { assertResult } from '../support/result-assertions.ts';
import { type CrashPoint, killAt, type Strace } from './strace.ts';

/** The calls with which an object comes into being, in the order in which it makes them first. */
export const SYSCALLS = [
  'openat',
  'write',
  'mkdir',
  'fdatasync',
  'fsync',
  'link',
  'rename',
  'unlink',
  'close',
];

/** Too large to lie inside the spec: accepting stores two arrays, a marker and a spec. */
const [A, H] = [integers(100, 120, 1), integers(120, 90, 2)];
const JOB = { operation: 'jvp', operands: { A: inline(A) }, direction: inline(H) };

/** A reconciler that starts leaves younger jobs to whoever accepted them. */
const RECONCILED_AGE_MS = 10_500;
/** A worker that meets its death does so within this time. */
const DEATH_MS_MAX = 5_000;
/** Within this time, well below a lock, nobody else tries what a dead worker has left: no block meets death twice. */
export const WORKERS_AT_ONCE = 6;
const POLL_MS = 20;

export interface CrashSite {
  readonly folder: string;
  readonly strace: Strace;
}

/** @returns at how many of the points the gateway died */
export async function crashGateway(site: CrashSite, points: readonly CrashPoint[]): Promise<number> {
  return inWorld(site, async start => {
    const worker = await start('workers/main.js');
    const accepted: string[] = [];
    let deaths = 0;
    for (const point of points) {
      const gateway = await start('api/main.js');
      const client = createClient(gateway.ready.url ?? '');
      const assassin = await killAt(site.strace, gateway.pid, point);
      const job = await client.submit(JOB).catch(() => undefined);
      if (job !== undefined) accepted.push(job.id);
      if (!(await isServing(client))) deaths += 1;
      await assassin.stop();
      await gateway.stop();
    }
    await sleep(RECONCILED_AGE_MS);
    await assertWhole(await start('api/main.js'), accepted);
    await worker.stop();
    return deaths;
  });
}

/** @returns at how many of the points the worker died */
export async function crashWorkers(site: CrashSite, points: readonly CrashPoint[]): Promise<number> {
  return inWorld(site, async start => {
    const gateway = await start('api/main.js');
    const client = createClient(gateway.ready.url ?? '');
    const accepted: string[] = [];
    let deaths = 0;
    for (let from = 0; from < points.length; from += WORKERS_AT_ONCE) {
      for (const point of points.slice(from, from + WORKERS_AT_ONCE)) {
        const { id, died } = await crashOver(site, await start('workers/main.js'), client, point);
        accepted.push(id);
        if (died) deaths += 1;
      }
      const worker = await start('workers/main.js');
      for (const id of accepted) await client.until(id);
      await worker.stop();
    }
    await assertWhole(gateway, accepted);
    return deaths;
  });
}

/** @returns the job the worker was given, and whether it died, before or after that job had ended */
async function crashOver(
  { strace }: CrashSite,
  worker: Role,
  client: Client,
  point: CrashPoint,
): Promise<{ id: string; died: boolean }> {
  const { pid } = worker;
  // Before there is a job: a worker that is faster than its assassin has ended it by then.
  const assassin = await killAt(strace, pid, point);
  const { id } = await client.submit(JOB);
  const deadline = performance.now() + DEATH_MS_MAX;
  while (isAlive(pid) && !isFinal(await client.read(id)) && performance.now() < deadline)
    await sleep(POLL_MS);
  const died = !isAlive(pid);
  await assassin.stop();
  await worker.stop();
  return { id, died };
}

type Start = (module: string) => Promise<Role>;

/** Starts roles over one Redis and one store, both new; what still runs at the end is stopped. */
async function inWorld<T>({ folder }: CrashSite, run: (start: Start) => Promise<T>): Promise<T> {
  const redis = await startTestRedis();
  const roles: Role[] = [];
  const start: Start = async module => {
    const role = await superviseRole({
      name: module,
      module: join(REPOSITORY_ROOT, 'dist', module),
      env: () => ({
        PATH: process.env.PATH,
        FRECHET_REDIS_URL: redis.url,
        FRECHET_DATA_DIR: folder,
        FRECHET_PORT: '0',
        FRECHET_ADMIN_PORT: '0',
        FRECHET_LOG_LEVEL: 'silent',
        FRECHET_KERNEL: 'wasm',
        FRECHET_THREADS: '1',
        FRECHET_MEMORY_BYTES: '128MiB',
        // One thread asks the file system, and its calls are counted in their order.
        UV_THREADPOOL_SIZE: '1',
      }),
      output: 'inherit',
      graceMs: 30_000,
      log: () => undefined,
    });
    roles.push(role);
    return role;
  };
  try {
    return await run(start);
  } finally {
    await Promise.all(roles.map(role => role.stop()));
    await redis.stop();
  }
}

/** Every job there is ends well, those that were accepted among them; every array there is reads as it was sent. */
async function assertWhole(gateway: Role, accepted: readonly string[]): Promise<void> {
  const client = createClient(gateway.ready.url ?? '');
  const jobs = await listed<JobDocument>(client, '/v1/jobs');
  for (const id of accepted) assert.ok(jobs.some(job => job.id === id), `${id} was accepted, and is lost`); // biome-ignore format: one thought
  for (const { id } of jobs) {
    const ended = await client.until(id);
    assert.equal(ended.state, 'succeeded', JSON.stringify(ended.error));
    await assertResult(client, id, product(A, H));
  }
  for (const { id } of await listed<{ id: string }>(client, '/v1/arrays'))
    assert.equal((await client.get(`/v1/arrays/${id}/data`)).status, 200);
}

async function listed<T>(client: Client, path: string): Promise<T[]> {
  const response = await client.get(`${path}?limit=500`);
  return ((await response.json()) as { data: T[] }).data;
}

async function isServing(client: Client): Promise<boolean> {
  return client.get('/livez').then(
    ({ status }) => status === 200,
    () => false,
  );
}

function isFinal({ state }: JobDocument): boolean {
  return state !== 'queued' && state !== 'running';
}
