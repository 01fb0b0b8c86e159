// The store fills up while jobs wait for a worker without a BLAS; then there is room again, and it fills up once more.
// There is no kubelet here: its view of the volume is a stand-in that reads the real file system.

import { appendFile, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Releasers } from '../../../../shared/io/releasers.ts';
import { mountSmallDisk } from '../../../chaos/small-disk.ts';
import { createClient, inline } from '../../../support/client.ts';
import { integers } from '../../../support/integers.ts';
import { startStack } from '../../../support/processes.ts';
import { startKubelet } from '../exporters.ts';
import type { Target } from '../prometheus.ts';
import { hostOf, repeat } from './repeat.ts';

const MIB = 1024 * 1024;
const DISK_BYTES = 64 * MIB;
/** Less than half is left from here on … */
const GROWN_BYTES = 36 * MIB;
/** … and it grows for longer than the rules look back, in tests, to 56 MiB. */
const GROWTH_BYTES = 256 * 1024;
const GROWTH_STEPS = 80;
const GROWTH_MS = 200;
/** Accepted while the worker is held back, and without room for their blocks when it goes on. */
const LATE_JOBS = 40;
const FULL_MS = 6_000;

/** No targets where no file system can be mounted: that takes root, on Linux. */
export async function startFull(releasers: Releasers): Promise<Target[]> {
  const disk = mountSmallDisk(DISK_BYTES);
  if (disk === undefined) return [];
  releasers.push('the disk', async () => disk.unmount());
  const stack = await startStack({
    env: {
      FRECHET_STORE: `file:${disk.path}/store`,
      FRECHET_KERNEL: 'wasm',
      FRECHET_THREADS: '1',
      FRECHET_MEMORY_BYTES: '64MiB',
    },
  });
  releasers.push('the stack', stack.stop);
  const kubelet = await startKubelet(async () => {
    const { blocks, bavail, bsize } = await statfs(disk.path);
    return { capacity: blocks * bsize, available: bavail * bsize };
  });
  releasers.push('the kubelet', kubelet.stop);
  const [worker] = stack.workers;
  const client = createClient(stack.url);
  const job = {
    operation: 'jvp',
    operands: { A: inline(integers(9, 9, 1)) },
    direction: inline(integers(9, 9, 2)),
  };
  const growth = join(disk.path, 'growth');
  repeat(releasers, 0, async signal => {
    await writeFile(growth, Buffer.alloc(GROWN_BYTES));
    for (let step = 0; step < GROWTH_STEPS; step += 1) {
      await appendFile(growth, Buffer.alloc(GROWTH_BYTES));
      await sleep(GROWTH_MS, undefined, { signal });
    }
    process.kill(worker!.pid, 'SIGSTOP');
    for (let count = 0; count < LATE_JOBS; count += 1) await client.submit(job);
    const free = await disk.fill();
    process.kill(worker!.pid, 'SIGCONT');
    await sleep(FULL_MS, undefined, { signal });
    await free();
  });
  repeat(releasers, 700, () => client.submit(job));
  const target = { namespace: 'full' };
  return [
    { ...target, job: 'frechet-gateway', pod: 'gateway', address: hostOf(stack.adminUrl) },
    { ...target, job: 'frechet-worker', pod: 'worker', address: hostOf(worker!.ready.adminUrl) },
    { ...target, job: 'kubelet', pod: 'node', address: kubelet.address },
  ];
}
