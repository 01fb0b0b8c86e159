// A whole gateway over a store in a temporary folder and a real Redis, and a stand-in for workers that writes what a
// worker would.

import { createHash } from 'node:crypto';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gatewayRoutes } from '../../api/app.ts';
import { anonymousTenants, type Tenants } from '../../api/auth/tenants.ts';
import { readGatewayConfig } from '../../api/config.ts';
import type { GatewayDeps } from '../../api/deps.ts';
import { ArrivingBytes } from '../../api/jobs/arriving-bytes.ts';
import { createDrainRate } from '../../api/jobs/drain-rate.ts';
import type { JobDocument } from '../../api/jobs/job-document.ts';
import { createJobEvents } from '../../api/jobs/job-events.ts';
import { createSmallJobs } from '../../api/jobs/small-jobs.ts';
import { createStoredBytes } from '../../api/jobs/stored-bytes.ts';
import { ArrayStore } from '../../shared/io/array-store.ts';
import { createBatchProgress } from '../../shared/io/batch-progress.ts';
import { createClaims } from '../../shared/io/claims.ts';
import { JobStore } from '../../shared/io/job-store.ts';
import { createLive, subscribeLive } from '../../shared/io/live.ts';
import { createMetrics } from '../../shared/io/metrics.ts';
import { createOpenJobs } from '../../shared/io/open-jobs.ts';
import { createWorkQueue } from '../../shared/io/queue.ts';
import { connectRedis, redisCall, redisFault } from '../../shared/io/redis.ts';
import { openFileStore } from '../../shared/io/store/file-store.ts';
import { planJob } from '../../shared/job/job-plan.ts';
import type { BlockReceipt, Outcome } from '../../shared/job/outcome.ts';
import type { JobSpec } from '../../shared/job/spec.ts';
import { type Served, serve } from './serve.ts';

export interface TestGateway extends Served {
  readonly deps: GatewayDeps;
  /** What `deps.clock` answers, moved by tests. */
  readonly time: { offsetMs: number };
  readonly draining: AbortController;
  /** Every object in the store, by path. */
  storedFiles(): Promise<string[]>;
}

export async function startGateway(
  redisUrl: string,
  tenants: Tenants = anonymousTenants(),
): Promise<TestGateway> {
  const folder = await mkdtemp(join(tmpdir(), 'frechet-test-'));
  const time = { offsetMs: 0 };
  const clock = () => Date.now() + time.offsetMs;
  const store = await openFileStore(folder);
  const jobs = new JobStore(store, clock);
  const arrays = new ArrayStore(store, clock);
  const producer = connectRedis(redisUrl, 'producer', () => undefined);
  const subscriber = connectRedis(redisUrl, 'subscriber', () => undefined);
  await new Promise(resolve => producer.once('ready', resolve));
  const draining = new AbortController();
  const queue = createWorkQueue(producer);
  const events = createJobEvents(jobs);
  await subscribeLive(subscriber, event => events.dispatch(event));
  let made: GatewayDeps | undefined;
  const call = redisCall(producer);
  const live = createLive(producer);
  const served = await serve(
    log => {
      const base: Omit<GatewayDeps, 'smallJobs'> = {
        config: readGatewayConfig({}),
        version: '0.0.0',
        tenants,
        log,
        store,
        arrays,
        jobs,
        openJobs: createOpenJobs(store),
        claims: createClaims(store),
        batchProgress: createBatchProgress(jobs),
        queue,
        live,
        events,
        storedBytes: createStoredBytes({ arrays, jobs, live, log, tenants }),
        arriving: new ArrivingBytes(),
        drainRate: createDrainRate(clock),
        redisCall: call,
        metrics: createMetrics('gateway').metrics,
        clock,
        readiness: async () => undefined,
        limitation: async () => undefined,
        redisFault: () => redisFault(producer),
        loopDelayMs: () => 0,
        draining: draining.signal,
      };
      made = { ...base, smallJobs: createSmallJobs(base) };
      return gatewayRoutes(made);
    },
    draining.signal,
    { tenants, redisCall: call },
  );
  return {
    ...served,
    deps: made!, // serve has called the function
    time,
    draining,
    storedFiles: () => filesBelow(folder),
    async close() {
      draining.abort();
      await served.close();
      await queue.close();
      producer.disconnect();
      subscriber.disconnect();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function filesBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter(entry => entry.isFile())
    .map(entry => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .sort();
}

/** Sends JSON. */
export function postJson(
  url: string,
  body: unknown,
  headers: Record<string, string> = {},
): Promise<Response> {
  return fetch(url, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
}

/** The job a response holds; assertions tell whether it is one. */
export async function jobIn(response: Response): Promise<JobDocument> {
  return (await response.json()) as JobDocument;
}

/** The spec of a job that was accepted. */
export async function specOf({ deps }: TestGateway, jobId: string): Promise<JobSpec> {
  const spec = await deps.jobs.readSpec('default', jobId);
  if (spec === undefined) throw new Error(`job ${jobId} has no spec`);
  return spec;
}

/** Stores a block of zeros as a worker would, and says so. */
export async function finishBlock({ deps }: TestGateway, spec: JobSpec, index: number): Promise<void> {
  const plan = planJob(spec);
  const bytes = Math.floor((plan.result.dataBytes ?? 0) / plan.blocksTotal);
  const data = new Uint8Array(bytes);
  const sha256 = createHash('sha256').update(data).digest('hex');
  const receipt: BlockReceipt = {
    ...plan.block(index),
    index,
    bytes,
    sha256,
    chunks: [sha256],
    verification: { method: 'freivalds', rounds: 1, seeds: [7], maxError: 0, bound: 1e-15 },
    errorBound: null,
    kernel: 'reference',
    seconds: { load: 0, compute: 0, verify: 0, store: 0 },
    flops: String(plan.blockFlops(index)),
    startedAt: new Date(deps.clock()).toISOString(),
    finishedAt: new Date(deps.clock()).toISOString(),
  };
  await deps.live.noteStarted(spec.id, deps.clock());
  await deps.jobs.putBlock(spec.tenant, spec.id, [data], receipt);
  await deps.live.noteBlockDone(spec.id, index, { flops: plan.blockFlops(index), bytes });
  await deps.live.publish({ type: 'block', tenant: spec.tenant, jobId: spec.id, block: index });
}

export function succeededOutcome(spec: JobSpec, startedAt: string, finishedAt: string): Outcome {
  return {
    version: 1,
    state: 'succeeded',
    startedAt,
    finishedAt,
    expiresAt: new Date(Date.parse(finishedAt) + spec.expiresIn * 1000).toISOString(),
    manifest: { bytes: planJob(spec).result.dataBytes ?? 0, digest: 'd'.repeat(64), blocks: [] },
    verification: { method: 'freivalds', rounds: 1, seeds: [7], maxError: 0, bound: 1e-15 },
    errorBound: null,
    kernel: 'reference',
    seconds: { queue: 1, load: 2, compute: 3, verify: 4, store: 5 },
  };
}

/** Ends a job as a worker would, and says so. */
export async function endJob(
  { deps }: TestGateway,
  spec: JobSpec,
  outcome: Outcome = succeededOutcome(spec, spec.createdAt, new Date(deps.clock()).toISOString()),
): Promise<void> {
  await deps.jobs.putOutcome(spec, outcome);
  await deps.live.noteFinished(spec.id);
  await deps.live.publish({ type: 'finished', tenant: spec.tenant, jobId: spec.id });
  await deps.openJobs.remove(spec.tenant, spec.id);
}
