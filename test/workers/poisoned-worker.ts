// A worker that is killed whenever it computes a large block, as by a fault of a kernel or by a system out of memory.
// All else it computes, a little slowly; its locks are short, so that others notice its death soon.

import { setTimeout as sleep } from 'node:timers/promises';
import { composeWorker } from '../support/worker-composition.ts';

/** Working sets from this size on are deadly. */
export const DEADLY_BYTES = 100_000;
/** Time enough for other blocks to be there when death comes. */
const LOAD_MS = 100;
const LOCK_MS = 300;

async function work(redisUrl: string, root: string): Promise<void> {
  await composeWorker({
    redisUrl,
    root,
    lockMs: LOCK_MS,
    spoil: deps => ({
      ...deps,
      cache: {
        ...deps.cache,
        acquire: async (...request) => {
          await sleep(LOAD_MS);
          if (request[0] >= DEADLY_BYTES) process.kill(process.pid, 'SIGKILL');
          return deps.cache.acquire(...request);
        },
      },
    }),
  });
}

const [, script, redisUrl, root] = process.argv;
if (script?.endsWith('poisoned-worker.js') && redisUrl !== undefined && root !== undefined)
  await work(redisUrl, root);
