// A worker that joins a stack later.

import { join } from 'node:path';
import { REPOSITORY_ROOT } from '../../deploy/local/root.ts';
import { type Role, superviseRole } from '../../deploy/local/supervise.ts';
import type { Stack } from './processes.ts';

/** Starts a worker over the stack's Redis and store, and keeps it running; the caller stops it before the stack. */
export function addWorker(stack: Stack, env: NodeJS.ProcessEnv): Promise<Role> {
  return superviseRole({
    name: 'worker',
    module: join(REPOSITORY_ROOT, 'dist/workers/main.js'),
    env: () => ({
      PATH: process.env.PATH,
      FRECHET_REDIS_URL: stack.redisUrl,
      FRECHET_DATA_DIR: stack.dataDir,
      FRECHET_ADMIN_PORT: '0',
      FRECHET_LOG_LEVEL: 'silent',
      ...env,
    }),
    output: 'inherit',
    graceMs: 30_000,
    log: () => undefined,
  });
}
