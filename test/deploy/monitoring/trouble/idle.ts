// Nobody works: jobs wait and more come, a rollout stands still, and Redis freezes for a moment now and then.

import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { REPOSITORY_ROOT } from '../../../../deploy/local/root.ts';
import type { Releasers } from '../../../../shared/io/releasers.ts';
import { createClient } from '../../../support/client.ts';
import { encodeNpy } from '../../../support/npy.ts';
import { startGatewayProcess } from '../../../system/gateway-process.ts';
import type { Target } from '../prometheus.ts';
import { hostOf, repeat, startWithoutWorker } from './repeat.ts';

/** Longer than the objective for reads, and shorter than a scrape may take. */
const FROZEN_MS = 700;
const SIDE = 2048;
/** Half of 10¹² flop a job; together more than one worker would do in half an hour at 20 GFLOP/s. */
const FACTORS = 30;
const JOBS = 80;

export async function startIdle(releasers: Releasers): Promise<Target[]> {
  const { redis, stack } = await startWithoutWorker(releasers);
  const other = await startOtherVersion(releasers, redis.url);
  const client = createClient(stack.url);
  const values = new Array<number>(SIDE * SIDE).fill(1);
  const A = await client.upload(encodeNpy({ shape: [SIDE, SIDE], dtype: 'float64', order: 'C', values }));
  const job = {
    operation: 'jvp',
    expression: `${'A*'.repeat(FACTORS)}W`,
    operands: { A },
    direction: A,
  };
  const ids: string[] = [];
  while (ids.length < JOBS) {
    // A gateway that lags refuses for a moment, as it should.
    const accepted = await client.submit(job).catch(() => sleep(500));
    if (accepted !== undefined) ids.push(accepted.id);
  }
  repeat(releasers, 1_000, () => client.submit(job));
  repeat(releasers, 1_000, async () => {
    process.kill(redis.pid, 'SIGSTOP');
    const read = client.read(ids[0]!);
    await sleep(FROZEN_MS);
    process.kill(redis.pid, 'SIGCONT');
    await read;
  });
  const target = { job: 'frechet-gateway', namespace: 'idle' };
  return [
    { ...target, pod: 'gateway', address: hostOf(stack.adminUrl) },
    { ...target, pod: 'other', address: hostOf(other) },
  ];
}

/** A gateway of another version: the same build beside another package.json. */
async function startOtherVersion(releasers: Releasers, redisUrl: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'frechet-version-'));
  releasers.push('the other version', () => rm(folder, { recursive: true, force: true }));
  for (const part of ['dist/api', 'dist/shared']) {
    await mkdir(join(folder, part), { recursive: true });
    await cp(join(REPOSITORY_ROOT, part), join(folder, part), { recursive: true });
  }
  await symlink(join(REPOSITORY_ROOT, 'node_modules'), join(folder, 'node_modules'));
  const manifest: object = JSON.parse(await readFile(join(REPOSITORY_ROOT, 'package.json'), 'utf8'));
  await writeFile(join(folder, 'package.json'), JSON.stringify({ ...manifest, version: '0.0.2' }));
  const gateway = await startGatewayProcess(
    { FRECHET_REDIS_URL: redisUrl },
    join(folder, 'dist/api/main.js'),
  );
  releasers.push('its gateway', gateway.stop);
  return gateway.adminUrl;
}
