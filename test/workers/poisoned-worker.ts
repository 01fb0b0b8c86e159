// A worker that is killed whenever it computes a large block, as by a fault of a kernel or by a system out of memory.
// All else it computes, a little slowly; its locks are short, so that others notice its death soon.

import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { ArrayStore } from '../../shared/io/array-store.ts';
import { createBlockAttempts } from '../../shared/io/block-attempts.ts';
import { JobStore } from '../../shared/io/job-store.ts';
import { createLive } from '../../shared/io/live.ts';
import { createMetrics } from '../../shared/io/metrics.ts';
import { createOpenJobs } from '../../shared/io/open-jobs.ts';
import { createWorkQueue } from '../../shared/io/queue.ts';
import { connectRedis } from '../../shared/io/redis.ts';
import { openFileStore } from '../../shared/io/store/file-store.ts';
import { createActiveBlocks } from '../../workers/active-blocks.ts';
import { createCompany } from '../../workers/company.ts';
import { startConsumer } from '../../workers/consumer.ts';
import { createKnownJobs } from '../../workers/known-jobs.ts';
import { createCheckedChunks } from '../../workers/load/checked-chunks.ts';
import { createArrayCache } from '../../workers/memory/array-cache.ts';
import { startMachine } from './machine.ts';

/** Working sets from this size on are deadly. */
export const DEADLY_BYTES = 100_000;
/** Time enough for other blocks to be there when death comes. */
const LOAD_MS = 100;
const LOCK_MS = 300;

async function work(redisUrl: string, root: string): Promise<void> {
  const log = pino({ level: 'silent' });
  const store = await openFileStore(root);
  const jobs = new JobStore(store);
  const producer = connectRedis(redisUrl, 'producer', () => undefined);
  await new Promise(resolve => producer.once('ready', resolve));
  const { arena, memory, threads } = startMachine({ threads: 1 });
  const cache = createArrayCache(arena, { hit: () => undefined, miss: () => undefined });
  const deps = {
    jobs,
    openJobs: createOpenJobs(store),
    queue: createWorkQueue(producer),
    live: createLive(producer),
    log,
    clock: Date.now,
    arrays: new ArrayStore(store),
    memory,
    threads,
    cache: {
      ...cache,
      acquire: async (...request: Parameters<typeof cache.acquire>) => {
        await sleep(LOAD_MS);
        if (request[0] >= DEADLY_BYTES) process.kill(process.pid, 'SIGKILL');
        return cache.acquire(...request);
      },
    },
    metrics: createMetrics('worker').metrics,
    kernels: { fastest: 'wasm', reproducible: 'wasm' } as const,
    known: createKnownJobs(jobs),
    active: createActiveBlocks(),
    checkedChunks: createCheckedChunks(),
    attempts: createBlockAttempts(store, randomUUID()),
    company: createCompany(),
    onBug: (error: Error) => {
      throw error;
    },
    onStarved: () => undefined,
  };
  startConsumer(
    deps,
    connectRedis(redisUrl, 'consumer', () => undefined),
    { lockMs: LOCK_MS },
  );
}

const [, script, redisUrl, root] = process.argv;
if (script?.endsWith('poisoned-worker.js') && redisUrl !== undefined && root !== undefined)
  await work(redisUrl, root);
