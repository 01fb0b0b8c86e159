// The worker's composition root: environment in, arena, threads and consumer made and connected here. It runs until
// SIGTERM, SIGINT or the death of the process that started it.

import { randomUUID } from 'node:crypto';
import { ArrayStore } from '../shared/io/array-store.ts';
import { createBlockAttempts } from '../shared/io/block-attempts.ts';
import { ConfigError } from '../shared/io/config.ts';
import { JobStore } from '../shared/io/job-store.ts';
import { createLive, subscribeLive, type WorkerPresence } from '../shared/io/live.ts';
import { createLogger, type Logger } from '../shared/io/logger.ts';
import { createMetrics, type WorkerMetrics } from '../shared/io/metrics.ts';
import { createOpenJobs } from '../shared/io/open-jobs.ts';
import { createReadiness, startAdminListener, storeCheck } from '../shared/io/probes.ts';
import { createWorkQueue } from '../shared/io/queue.ts';
import { startReconciler } from '../shared/io/reconciler.ts';
import { type ConnectionRole, connectRedis, redisFault } from '../shared/io/redis.ts';
import { type Releasers, withReleasers } from '../shared/io/releasers.ts';
import { openStore } from '../shared/io/store/open-store.ts';
import { readVersion } from '../shared/io/version.ts';
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

await main();

async function main(): Promise<void> {
  let config: WorkerConfig;
  try {
    config = readWorkerConfig(process.env);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exitCode = 1;
    return;
  }
  const log = createLogger({ level: config.logLevel, role: 'worker' });
  const crash = (error: unknown) => {
    log.fatal({ err: error }, 'a bug; the supervisor restarts the worker');
    process.exit(1);
  };
  for (const event of ['uncaughtException', 'unhandledRejection'] as const) process.on(event, crash);
  try {
    const draining = new AbortController();
    const { value, release } = await withReleasers(releasers =>
      startWorker(config, log, draining.signal, releasers, crash),
    );
    stopOnRequest(log, draining, release);
    log.info(value, 'ready');
    process.send?.({ type: 'ready', role: 'worker', ...value });
  } catch (error) {
    log.fatal({ err: error }, 'the worker could not start');
    process.exit(1);
  }
}

/** Registers everything with `releasers`, in an order whose reverse is a clean end. */
async function startWorker(
  config: WorkerConfig,
  log: Logger,
  draining: AbortSignal,
  releasers: Releasers,
  crash: (error: unknown) => void,
): Promise<{ readonly adminUrl: string }> {
  const { registry, metrics } = createMetrics('worker');
  const version = readVersion();
  const life = randomUUID();
  const choice = selectKernel(config.kernel);
  log.info({ kernel: choice.name, reason: choice.reason, threads: config.threads }, 'kernel chosen');
  metrics.frechet_build_info.set({ version, kernel: choice.name }, 1);

  const arena = createArena(config.memoryBytes);
  const threads = startThreads(arena, choice, config.threads, crash);
  releasers.push('the threads', () => threads.close());
  const cache = createArrayCache(arena, {
    hit: () => metrics.frechet_array_cache_requests_total.inc({ result: 'hit' }),
    miss: () => metrics.frechet_array_cache_requests_total.inc({ result: 'miss' }),
  });

  const redisUrl = config.redisUrl ?? (await startOwnRedis(config, log, releasers));
  const connect = (role: ConnectionRole) => {
    const redis = connectRedis(redisUrl, role, error =>
      log.warn({ err: error, connection: role }, 'Redis connection'),
    );
    releasers.push(`the ${role} connection`, () => redis.disconnect());
    return redis;
  };
  const producer = connect('producer');
  const subscriber = connect('subscriber');
  const queue = createWorkQueue(producer);
  releasers.push('the queue', () => queue.close());
  const store = await openStore(config.store, {
    onBytes: (direction, bytes) => metrics.frechet_store_bytes_total.inc({ direction }, bytes),
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
  };
  announce(shared.live, presence, log, releasers);

  const admin = await startAdminListener({
    host: config.host,
    port: config.workerAdminPort,
    readiness: createReadiness({
      shutdown: async () => (draining.aborted ? 'the worker is shutting down' : undefined),
      Redis: () => redisFault(producer),
      store: storeCheck(store, `worker-${life}`),
    }),
    metrics: async () => {
      setGauges(metrics, arena, threads);
      return { contentType: registry.contentType, text: await registry.metrics() };
    },
  });
  releasers.push('the admin listener', admin.close);
  return { adminUrl: admin.url };
}

function setGauges(metrics: WorkerMetrics, arena: Arena, threads: Threads): void {
  metrics.frechet_threads.set({ state: 'busy' }, threads.busyCount);
  metrics.frechet_threads.set({ state: 'idle' }, threads.count - threads.busyCount);
  metrics.frechet_memory_bytes.set({ kind: 'used' }, arena.usedBytes);
  metrics.frechet_memory_bytes.set({ kind: 'limit' }, arena.limitBytes);
}

/** Tells the gateways that this worker lives, until it ends. */
function announce(
  live: ReturnType<typeof createLive>,
  about: Pick<WorkerPresence, 'id' | 'version' | 'kernel' | 'threads' | 'memoryBytes'>,
  log: Logger,
  releasers: Releasers,
): void {
  const startedAt = new Date().toISOString();
  const tell = () =>
    live
      .announceWorker({ ...about, startedAt, seenAt: new Date().toISOString() })
      .catch((error: unknown) => log.debug({ err: error }, 'Redis did not hear of this worker'));
  const timer = setInterval(tell, ANNOUNCE_MS).unref();
  // The first connection may still be under way.
  setTimeout(tell, 200).unref();
  releasers.push('the presence', async () => {
    clearInterval(timer);
    await live.forgetWorker(about.id).catch(() => undefined);
  });
}

/** Only for a machine without FRECHET_REDIS_URL; images need not hold deploy/local. */
async function startOwnRedis(config: WorkerConfig, log: Logger, releasers: Releasers): Promise<string> {
  const { ensureRedis } = await import('../deploy/local/redis.ts');
  const redis = await ensureRedis({
    dataDir: config.dataDir,
    searchPath: process.env.PATH ?? '',
    log: line => log.info(line),
  });
  releasers.push('Redis', () => redis.stop());
  return redis.url;
}

function stopOnRequest(log: Logger, draining: AbortController, release: () => Promise<void>): void {
  const stop = async (reason: string) => {
    if (draining.signal.aborted) return;
    log.info({ reason }, 'shutting down');
    draining.abort();
    try {
      await release();
      log.info('stopped');
      process.exit(0);
    } catch (error) {
      log.error({ err: error }, 'did not stop cleanly');
      process.exit(1);
    }
  };
  process.on('SIGTERM', () => stop('SIGTERM'));
  process.on('SIGINT', () => stop('SIGINT'));
  // Whoever started us with a channel and is gone would leave us behind unsupervised.
  process.on('disconnect', () => stop('the parent process is gone'));
}
