// One worker computes wrongly, another dies over its blocks, and some jobs were accepted an hour ago.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { JobStore } from '../../../../shared/io/job-store.ts';
import { createWorkQueue } from '../../../../shared/io/queue.ts';
import { connectRedis } from '../../../../shared/io/redis.ts';
import type { Releasers } from '../../../../shared/io/releasers.ts';
import { openFileStore } from '../../../../shared/io/store/file-store.ts';
import { DTYPES, floatArray } from '../../../../shared/math/dtype.ts';
import type { ConsumerDeps } from '../../../../workers/consumer.ts';
import { createClient, inline } from '../../../support/client.ts';
import { integers } from '../../../support/integers.ts';
import { jobSpec } from '../../../support/stored-jobs.ts';
import { composeWorker } from '../../../support/worker-composition.ts';
import { sharing } from '../../../workers/machine.ts';
import type { Target } from '../prometheus.ts';
import { hostOf, repeat, startWithoutWorker } from './repeat.ts';

const DYING_WORKER = fileURLToPath(new URL('../../../workers/poisoned-worker.js', import.meta.url));
const LOCK_MS = 300;
const BETWEEN_LIVES_MS = 3_000;
const HOUR_MS = 3_600_000;

export async function startWrong(releasers: Releasers): Promise<Target[]> {
  const { redis, stack } = await startWithoutWorker(releasers);
  const root = join(stack.dataDir, 'store');
  const worker = await composeWorker({ redisUrl: redis.url, root, lockMs: LOCK_MS, spoil: miscompute });
  releasers.push('the worker', worker.stop);
  const client = createClient(stack.url);
  // Large enough to be deadly for the worker that dies.
  const [A, direction] = [inline(integers(120, 120, 1)), inline(integers(120, 120, 2))];
  repeat(releasers, 700, () => client.submit({ operation: 'jvp', operands: { A }, direction }));
  startDying(releasers, redis.url, root);
  await enqueueLateJobs(releasers, redis.url, root);
  return [
    { job: 'frechet-gateway', namespace: 'wrong', pod: 'gateway', address: hostOf(stack.adminUrl) },
    { job: 'frechet-worker', namespace: 'wrong', pod: 'worker', address: hostOf(worker.adminUrl) },
  ];
}

/** A core that gets one element of every product wrong. */
function miscompute(deps: ConsumerDeps): ConsumerDeps {
  const { threads, memory } = deps;
  const miscomputing = sharing(threads, async (task, tiles, control) => {
    const found = await threads.run(task, tiles, control);
    if (task.kind === 'combine') {
      const { bytes } = DTYPES[task.dtype];
      const elements = floatArray(task.dtype, memory.buffer, 0, memory.buffer.byteLength / bytes);
      elements[task.c.offset]! += 1e6;
    }
    return found;
  });
  return { ...deps, threads: miscomputing };
}

/** A worker that is killed over its first block, and comes again. */
function startDying(releasers: Releasers, redisUrl: string, root: string): void {
  let worker: ChildProcess | undefined;
  let isStopped = false;
  const live = async () => {
    while (!isStopped) {
      worker = spawn(process.execPath, [DYING_WORKER, redisUrl, root], { stdio: 'ignore' });
      await once(worker, 'exit');
      await sleep(BETWEEN_LIVES_MS);
    }
  };
  const ended = live();
  releasers.push('the dying worker', async () => {
    isStopped = true;
    worker?.kill('SIGKILL');
    await ended;
  });
}

/** Jobs as the store holds them after an hour without any worker. */
async function enqueueLateJobs(releasers: Releasers, redisUrl: string, root: string): Promise<void> {
  const connection = connectRedis(redisUrl, 'producer', () => undefined);
  await once(connection, 'ready');
  const queue = createWorkQueue(connection);
  const jobs = new JobStore(await openFileStore(root));
  releasers.push('the queue', async () => {
    await queue.close();
    connection.disconnect();
  });
  repeat(releasers, 1_000, async () => {
    const spec = jobSpec({ nowMs: Date.now() - HOUR_MS });
    await jobs.createSpec(spec);
    await queue.enqueue(spec, [0], 1);
  });
}
