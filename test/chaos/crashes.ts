// `npm run chaos:crashes`: a gateway and a worker, killed at every system call with which they store something. Takes
// about six minutes; `-- link fsync` are some of the calls. A line for each, exit code 1 where something was lost.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type CrashSite, crashGateway, crashWorkers, SYSCALLS, WORKERS_AT_ONCE } from './crash-points.ts';
import { findStrace, type Strace } from './strace.ts';

/** More than accepting a job makes of any but `write` and `close`, which also serve sockets. */
const GATEWAY_POINTS = 16;
const WORKER_POINTS = 2 * WORKERS_AT_ONCE;

type Crash = typeof crashGateway;

async function crashAll(
  strace: Strace,
  calls: readonly string[],
  name: string,
  crash: Crash,
  count: number,
): Promise<void> {
  for (const syscall of calls) {
    const points = Array.from({ length: count }, (_, index) => ({ syscall, at: index + 1 }));
    try {
      const deaths = await inFolder(folder => crash({ folder, strace } satisfies CrashSite, points));
      console.log(`${name}, ${syscall}: died at ${deaths} of ${count}, nothing lost`);
    } catch (error) {
      console.log(`${name}, ${syscall}: FAILED ${(error as Error).message}`);
      process.exitCode = 1;
    }
  }
}

async function inFolder<T>(run: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'frechet-crash-'));
  try {
    return await run(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function main(): Promise<void> {
  const strace = await findStrace(process.env.PATH ?? '');
  if (strace === undefined) {
    console.error('there is no strace here, or it may not attach to other processes');
    process.exitCode = 77;
    return;
  }
  const wanted = process.argv.slice(2);
  const calls = SYSCALLS.filter(syscall => wanted.length === 0 || wanted.includes(syscall));
  await Promise.all([
    crashAll(strace, calls, 'gateway', crashGateway, GATEWAY_POINTS),
    crashAll(strace, calls, 'worker', crashWorkers, WORKER_POINTS),
  ]);
}

await main();
