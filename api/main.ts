// The gateway's composition root: environment in, everything made and connected here, two listeners out. It runs
// until SIGTERM, SIGINT or the death of the process that started it.

import { monitorEventLoopDelay } from 'node:perf_hooks';
import { ArrayStore } from '../shared/io/array-store.ts';
import { createBatchProgress } from '../shared/io/batch-progress.ts';
import { createClaims } from '../shared/io/claims.ts';
import { startCollector } from '../shared/io/collector.ts';
import { ConfigError } from '../shared/io/config.ts';
import { JobStore } from '../shared/io/job-store.ts';
import { createLive, subscribeLive } from '../shared/io/live.ts';
import type { Logger } from '../shared/io/logger.ts';
import { createMetrics } from '../shared/io/metrics.ts';
import { createOpenJobs } from '../shared/io/open-jobs.ts';
import { createReadiness, startAdminListener, storeCheck } from '../shared/io/probes.ts';
import { createWorkQueue } from '../shared/io/queue.ts';
import { recently } from '../shared/io/recent.ts';
import { startReconciler } from '../shared/io/reconciler.ts';
import { connectRedis, redisCall, redisFault, redisPolicyFault } from '../shared/io/redis.ts';
import type { Releasers } from '../shared/io/releasers.ts';
import { type Role, redisUrlOf, runRole } from '../shared/io/role.ts';
import { openStore } from '../shared/io/store/open-store.ts';
import { createHashThread } from '../shared/io/stream-hash.ts';
import { readVersion } from '../shared/io/version.ts';
import { workingSetFor } from '../shared/job/block-limits.ts';
import { createApp } from './app.ts';
import { watchKeyFile } from './auth/key-file.ts';
import { anonymousTenants, type Tenants } from './auth/tenants.ts';
import { type GatewayConfig, readGatewayConfig } from './config.ts';
import type { GatewayDeps } from './deps.ts';
import { awaitDepartures, closeServer, createHttpServer, listen } from './http/server.ts';
import { ArrivingBytes } from './jobs/arriving-bytes.ts';
import { createDrainRate } from './jobs/drain-rate.ts';
import { createJobEvents } from './jobs/job-events.ts';
import { refreshLoadGauges } from './jobs/load-gauges.ts';
import { createSmallJobs } from './jobs/small-jobs.ts';
import { createStoredBytes } from './jobs/stored-bytes.ts';

/** After SIGTERM, idle connections may be left by those who hold them … */
const DEPARTURE_SECONDS_MAX = 3;
/** … and then answers under way may take this long: ten seconds in all. */
const CLOSE_SECONDS_MAX = 6;
/** A gateway starts without Redis too, and says so; this long it waits for the ordinary case. */
const REDIS_WAIT_MS_MAX = 5_000;
const LOOP_WATCH_MS = 1_000;

await runRole('gateway', () => readGatewayConfig(process.env), startGateway);

async function startGateway(
  config: GatewayConfig,
  role: Role,
): Promise<{ readonly url: string; readonly adminUrl: string }> {
  const { log, releasers, draining } = role;
  const { registry, metrics } = createMetrics('gateway');
  const version = readVersion();
  metrics.frechet_build_info.set({ version, kernel: 'none' }, 1);

  const redisUrl = await redisUrlOf(
    config,
    role,
    process.env.PATH ?? '',
    () => import('../deploy/local/redis.ts'),
  );
  const connect = (kind: 'producer' | 'subscriber') => {
    const redis = connectRedis(redisUrl, kind, error =>
      log.warn({ err: error, connection: kind }, 'Redis connection'),
    );
    releasers.push(`the ${kind} connection`, () => redis.disconnect());
    return redis;
  };
  const producer = connect('producer');
  const subscriber = connect('subscriber');
  const store = await openStore(config.store, {
    onBytes: (direction, bytes) => metrics.frechet_store_bytes_total.inc({ direction }, bytes),
    onOutage: error => log.warn({ err: error }, 'the store cannot be used yet; it is tried again'),
  });
  const jobs = new JobStore(store);
  const queue = createWorkQueue(producer);
  releasers.push('the queue', () => queue.close());
  const redisCheck = () => redisFault(producer);
  const tenants = await openTenants(config, log, releasers);
  const hashThread = createHashThread();
  releasers.push('the hash thread', hashThread.close);
  const arrays = new ArrayStore(store, Date.now, hashThread.start);
  const live = createLive(producer);
  // Asked with every job.
  const workingSets = recently(
    () => live.workingSets(),
    sets => sets.length > 0,
  );
  // Where the memory of workers is configured here too, blocks fit those that are still to come.
  const expected = config.memoryBytes === undefined ? [] : [workingSetFor(config.memoryBytes)];
  const recentLive = {
    ...live,
    workingSets: async () => [...expected, ...(await workingSets())],
    pressure: recently(() => live.pressure()),
    owedBytes: recently(() => live.owedBytes()),
  };
  const base: Omit<GatewayDeps, 'smallJobs'> = {
    config,
    version,
    tenants,
    log,
    store,
    arrays,
    jobs,
    openJobs: createOpenJobs(store),
    claims: createClaims(store),
    batchProgress: createBatchProgress(jobs),
    queue,
    live: recentLive,
    events: createJobEvents(jobs),
    storedBytes: createStoredBytes({ arrays, jobs, live, log, tenants }),
    arriving: new ArrivingBytes(),
    drainRate: createDrainRate(Date.now),
    redisCall: redisCall(producer),
    metrics,
    clock: Date.now,
    readiness: createReadiness({
      shutdown: async () => (draining.aborted ? 'the gateway is shutting down' : undefined),
      Redis: () => redisPolicyFault(producer),
      store: storeCheck(store, 'gateway'),
    }),
    limitation: createReadiness({ Redis: redisCheck }),
    redisFault: recently(redisCheck, fault => fault === undefined),
    loopDelayMs: watchEventLoop(releasers),
    draining,
  };
  const deps: GatewayDeps = { ...base, smallJobs: createSmallJobs(base) };
  // Not awaited: without Redis it would wait for ever, and events are only hints.
  subscribeLive(subscriber, event => deps.events.dispatch(event)).catch((error: unknown) =>
    log.warn({ err: error }, 'live events are not heard'),
  );
  await waitForRedis(redisCheck, log);
  const reconciler = startReconciler(deps);
  releasers.push('the reconciler', () => reconciler.stop());
  const collector = startCollector(deps);
  releasers.push('the collector', () => collector.stop());

  const admin = await startAdminListener({
    host: config.host,
    port: config.gatewayAdminPort,
    readiness: deps.readiness,
    limitation: deps.limitation,
    metrics: async () => {
      await refreshLoadGauges(deps);
      return { contentType: registry.contentType, text: await registry.metrics() };
    },
  });
  releasers.push('the admin listener', admin.close);
  const server = createHttpServer(createApp(deps));
  const url = await listen(server, config.host, config.port);
  releasers.push('the public listener', async () => {
    await awaitDepartures(server, DEPARTURE_SECONDS_MAX);
    await closeServer(server, CLOSE_SECONDS_MAX);
  });
  return { url, adminUrl: admin.url };
}

/** @throws ConfigError where the key file cannot be used */
async function openTenants(config: GatewayConfig, log: Logger, releasers: Releasers): Promise<Tenants> {
  const { apiKeysFile } = config;
  if (apiKeysFile === undefined) return anonymousTenants();
  const tenants = await watchKeyFile(apiKeysFile, log).catch((error: unknown) => {
    const reason = (error as Error).message;
    throw new ConfigError(`FRECHET_API_KEYS_FILE is ${JSON.stringify(apiKeysFile)}: ${reason}`);
  });
  releasers.push('the API keys', () => tenants.stop());
  return tenants;
}

/** The mean delay of the event loop over the last full second, in milliseconds. */
function watchEventLoop(releasers: Releasers): () => number {
  const histogram = monitorEventLoopDelay();
  histogram.enable();
  let meanMs = 0;
  const timer = setInterval(() => {
    meanMs = histogram.count === 0 ? 0 : histogram.mean / 1e6;
    histogram.reset();
  }, LOOP_WATCH_MS).unref();
  releasers.push('the watch over the event loop', () => {
    clearInterval(timer);
    histogram.disable();
  });
  return () => meanMs;
}

async function waitForRedis(check: () => Promise<string | undefined>, log: Logger): Promise<void> {
  const deadline = Date.now() + REDIS_WAIT_MS_MAX;
  for (;;) {
    const fault = await check();
    if (fault === undefined) return;
    if (Date.now() > deadline) return log.warn({ fault }, 'starting without Redis');
    await new Promise(resolve => setTimeout(resolve, 20));
  }
}
