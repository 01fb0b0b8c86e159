// A worker put together as workers/main.ts does it, over the wasm kernel, and with one thing wrong that no setting can
// bring about: what tests of dying, frozen and miscomputing machines are made of.

import { randomUUID } from 'node:crypto';
import { pino } from 'pino';
import { ArrayStore } from '../../shared/io/array-store.ts';
import { createBlockAttempts } from '../../shared/io/block-attempts.ts';
import { JobStore } from '../../shared/io/job-store.ts';
import { createLive } from '../../shared/io/live.ts';
import { createMetrics } from '../../shared/io/metrics.ts';
import { createOpenJobs } from '../../shared/io/open-jobs.ts';
import { startAdminListener } from '../../shared/io/probes.ts';
import { createWorkQueue } from '../../shared/io/queue.ts';
import { connectRedis } from '../../shared/io/redis.ts';
import { openFileStore } from '../../shared/io/store/file-store.ts';
import { createActiveBlocks } from '../../workers/active-blocks.ts';
import { createCompany } from '../../workers/company.ts';
import { type ConsumerDeps, startConsumer } from '../../workers/consumer.ts';
import { createKnownJobs } from '../../workers/known-jobs.ts';
import { createCheckedChunks } from '../../workers/load/checked-chunks.ts';
import { createArrayCache } from '../../workers/memory/array-cache.ts';
import { startMachine } from '../workers/machine.ts';

export interface Composition {
  readonly redisUrl: string;
  /** The folder of the store. */
  readonly root: string;
  /** So short that others notice a death soon. */
  readonly lockMs: number;
  /** What is wrong with this worker. */
  readonly spoil: (deps: ConsumerDeps) => ConsumerDeps;
}

export interface ComposedWorker {
  /** Serves `/metrics`. */
  readonly adminUrl: string;
  stop(): Promise<void>;
}

export async function composeWorker({ redisUrl, root, lockMs, spoil }: Composition): Promise<ComposedWorker> {
  const store = await openFileStore(root);
  const jobs = new JobStore(store);
  const connections = (['producer', 'consumer'] as const).map(role =>
    connectRedis(redisUrl, role, () => undefined),
  );
  const [producer, consumerConnection] = connections as [(typeof connections)[0], (typeof connections)[0]];
  await new Promise(resolve => producer.once('ready', resolve));
  const machine = startMachine({ threads: 1 });
  const { registry, metrics } = createMetrics('worker');
  metrics.frechet_build_info.set({ version: '0.0.1', kernel: 'wasm' }, 1);
  const queue = createWorkQueue(producer);
  const consumer = startConsumer(
    spoil({
      jobs,
      openJobs: createOpenJobs(store),
      queue,
      live: createLive(producer),
      log: pino({ level: 'silent' }),
      clock: Date.now,
      arrays: new ArrayStore(store),
      memory: machine.memory,
      threads: machine.threads,
      cache: createArrayCache(machine.arena, { hit: () => undefined, miss: () => undefined }),
      metrics,
      kernels: { fastest: 'wasm', reproducible: 'wasm' },
      known: createKnownJobs(jobs),
      active: createActiveBlocks(),
      checkedChunks: createCheckedChunks(),
      attempts: createBlockAttempts(store, randomUUID()),
      company: createCompany(),
      onBug: error => {
        throw error;
      },
      onStarved: () => undefined,
    }),
    consumerConnection,
    { lockMs },
  );
  const admin = await startAdminListener({
    host: '127.0.0.1',
    port: 0,
    readiness: async () => undefined,
    metrics: async () => ({ contentType: registry.contentType, text: await registry.metrics() }),
  });
  return {
    adminUrl: admin.url,
    async stop() {
      await admin.close();
      await consumer.close(0);
      await queue.close();
      for (const connection of connections) connection.disconnect();
      await machine.close();
    },
  };
}
