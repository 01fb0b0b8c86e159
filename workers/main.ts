// The worker's composition root: environment in, arena, threads and consumer made and connected here. It runs until
// SIGTERM, SIGINT or the death of the process that started it.

import { randomUUID } from 'node:crypto';
import { ArrayStore } from '../shared/io/array-store.ts';
import { createBlockAttempts } from '../shared/io/block-attempts.ts';
import { JobStore } from '../shared/io/job-store.ts';
import { createLive, subscribeLive, type WorkerPresence } from '../shared/io/live.ts';
import type { Logger } from '../shared/io/logger.ts';
import { createMetrics, type WorkerMetrics } from '../shared/io/metrics.ts';
import { createOpenJobs } from '../shared/io/open-jobs.ts';
import { createReadiness, startAdminListener, storeCheck } from '../shared/io/probes.ts';
import { createWorkQueue } from '../shared/io/queue.ts';
import { startReconciler } from '../shared/io/reconciler.ts';
import { type ConnectionRole, connectRedis, redisFault } from '../shared/io/redis.ts';
import type { Releasers } from '../shared/io/releasers.ts';
import { type Role, redisUrlOf, runRole } from '../shared/io/role.ts';
import { openStore } from '../shared/io/store/open-store.ts';
import { readVersion } from '../shared/io/version.ts';
import { workingSetFor } from '../shared/job/block-limits.ts';
import { createActiveBlocks } from './active-blocks.ts';
import { createCompany } from './company.ts';
import { readWorkerConfig, type WorkerConfig } from './config.ts';
import { startConsumer } from './consumer.ts';
import { startThreads, type Threads } from './execute/threads.ts';
import { selectKernel } from './kernels/select.ts';
import { createKnownJobs } from './known-jobs.ts';
import { createCheckedChunks } from './load/checked-chunks.ts';
import { type Arena, createArena } from './memory/arena.ts';
import { createArrayCache } from './memory/array-cache.ts';

/** Well within PRESENCE_SECONDS, so that one lost announcement does no harm. */
const ANNOUNCE_MS = 10_000;
/** Until it has been announced once. */
const FIRST_ANNOUNCE_MS = 100;

await runRole('worker', () => readWorkerConfig(process.env), startWorker);

async function startWorker(config: WorkerConfig, role: Role): Promise<{ readonly adminUrl: string }> {
  const { log, releasers, draining, crash } = role;
  const { registry, metrics } = createMetrics('worker');
  const version = readVersion();
  const life = randomUUID();
  const choice = selectKernel(config.kernel);
  log.info({ kernel: choice.name, reason: choice.reason, threads: config.threads }, 'kernel chosen');
  metrics.frechet_build_info.set({ version, kernel: choice.name }, 1);

  if (config.unusedMemoryBytes > 0)
    log.warn(
      { memoryBytes: config.memoryBytes, unusedMemoryBytes: config.unusedMemoryBytes },
      'a worker process holds 4 GiB at most; more workers would use the rest',
    );
  const arena = createArena(config.memoryBytes);
  const threads = startThreads(arena, choice, config.threads, crash);
  releasers.push('the threads', () => threads.close());
  const cache = createArrayCache(arena, {
    hit: () => metrics.frechet_array_cache_requests_total.inc({ result: 'hit' }),
    miss: () => metrics.frechet_array_cache_requests_total.inc({ result: 'miss' }),
  });

  const redisUrl = await redisUrlOf(
    config,
    role,
    process.env.PATH ?? '',
    () => import('../deploy/local/redis.ts'),
  );
  const connect = (kind: ConnectionRole) => {
    const redis = connectRedis(redisUrl, kind, error =>
      log.warn({ err: error, connection: kind }, 'Redis connection'),
    );
    releasers.push(`the ${kind} connection`, () => redis.disconnect());
    return redis;
  };
  const producer = connect('producer');
  const subscriber = connect('subscriber');
  const queue = createWorkQueue(producer);
  releasers.push('the queue', () => queue.close());
  const store = await openStore(config.store, {
    onBytes: (direction, bytes) => metrics.frechet_store_bytes_total.inc({ direction }, bytes),
    onOutage: error => log.warn({ err: error }, 'the store cannot be used yet; it is tried again'),
  });
  const jobs = new JobStore(store);
  const shared = {
    jobs,
    openJobs: createOpenJobs(store),
    queue,
    live: createLive(producer),
    log,
    clock: Date.now,
  };

  let isKnown = () => false;
  // Before the consumer, so that it is released after it: a worker that drains still answers its probes.
  const admin = await startAdminListener({
    host: config.host,
    port: config.workerAdminPort,
    readiness: createReadiness({
      shutdown: async () => (draining.aborted ? 'the worker is shutting down' : undefined),
      Redis: () => redisFault(producer),
      store: storeCheck(store, `worker-${life}`),
      presence: async () => (isKnown() ? undefined : 'no gateway can know of this worker yet'),
    }),
    metrics: async () => {
      setGauges(metrics, arena, threads);
      return { contentType: registry.contentType, text: await registry.metrics() };
    },
  });
  releasers.push('the admin listener', admin.close);

  const active = createActiveBlocks();
  // Not awaited: without Redis it would wait for ever, and a missed cancellation is found in the store.
  subscribeLive(subscriber, event => {
    if (event.type === 'cancel') active.cancelJob(event.jobId);
  }).catch((error: unknown) => log.warn({ err: error }, 'live events are not heard'));
  const consumer = startConsumer(
    {
      ...shared,
      arrays: new ArrayStore(store),
      memory: arena.memory,
      threads,
      cache,
      metrics,
      kernels: { fastest: choice.name, reproducible: choice.reproducible.name },
      known: createKnownJobs(jobs),
      active,
      checkedChunks: createCheckedChunks(),
      attempts: createBlockAttempts(store, life),
      company: createCompany(),
      onBug: crash,
      onStarved: () => crash(new Error('work waits, and none of it comes here')),
    },
    connect('consumer'),
  );
  releasers.push('the consumer', () => consumer.close(config.drainSeconds * 1000));
  const reconciler = startReconciler(shared);
  releasers.push('the reconciler', () => reconciler.stop());
  const presence = {
    id: life,
    version,
    kernel: choice.name,
    threads: threads.count,
    memoryBytes: arena.limitBytes,
    workingSetBytes: workingSetFor(arena.limitBytes, cache.capacityBytes),
  };
  isKnown = announce(shared.live, presence, log, releasers);
  return { adminUrl: admin.url };
}

function setGauges(metrics: WorkerMetrics, arena: Arena, threads: Threads): void {
  metrics.frechet_threads.set({ state: 'busy' }, threads.busyCount);
  metrics.frechet_threads.set({ state: 'idle' }, threads.count - threads.busyCount);
  metrics.frechet_memory_bytes.set({ kind: 'used' }, arena.usedBytes);
  metrics.frechet_memory_bytes.set({ kind: 'limit' }, arena.limitBytes);
}

/** Tells the gateways that this worker lives, until it ends. @returns whether it has been told once: blocks are cut for workers that are known */
function announce(
  live: ReturnType<typeof createLive>,
  about: Omit<WorkerPresence, 'startedAt' | 'seenAt'>,
  log: Logger,
  releasers: Releasers,
): () => boolean {
  let [isKnown, isOver] = [false, false];
  const startedAt = new Date().toISOString();
  const tell = async () => {
    try {
      await live.announceWorker({ ...about, startedAt });
      isKnown = true;
    } catch (error) {
      log.debug({ err: error }, 'Redis did not hear of this worker');
    }
    if (!isOver) timer = setTimeout(tell, isKnown ? ANNOUNCE_MS : FIRST_ANNOUNCE_MS).unref();
  };
  // The first connection may still be under way.
  let timer = setTimeout(tell, FIRST_ANNOUNCE_MS).unref();
  releasers.push('the presence', async () => {
    isOver = true;
    clearTimeout(timer);
    await live.forgetWorker(about.id).catch(() => undefined);
  });
  return () => isKnown;
}
