// What the processes of a stack hold.

import { readFile } from 'node:fs/promises';
import { connectRedis } from '../../shared/io/redis.ts';
import type { Stack } from '../support/processes.ts';

const MIB = 2 ** 20;

/** MiB: resident of gateway and workers, used by Redis. */
export interface Memory {
  readonly gateway: number;
  readonly workers: readonly number[];
  readonly redis: number;
}

export async function memoryOf({ gateway, workers, redisUrl }: Stack): Promise<Memory> {
  const redis = connectRedis(redisUrl, 'consumer', () => undefined);
  const used = Number(/used_memory:(\d+)/.exec(await redis.info('memory'))?.[1] ?? 0);
  redis.disconnect();
  const [ofGateway = 0, ...ofWorkers] = await Promise.all(
    [gateway, ...workers].map(({ pid }) => residentMib(pid ?? 0)),
  );
  return { gateway: ofGateway, workers: ofWorkers, redis: Math.round((10 * used) / MIB) / 10 };
}

export function formatMemory({ gateway, workers, redis }: Memory): string {
  return `gateway ${gateway}, worker ${workers.join(' ')}, Redis ${redis}`;
}

async function residentMib(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  return Math.round(Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024);
}
