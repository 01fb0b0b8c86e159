// A gateway that never found its Redis, a Redis that evicts, one that is not there, and a worker that is gone.

import { connectRedis } from '../../../../shared/io/redis.ts';
import type { Releasers } from '../../../../shared/io/releasers.ts';
import { createClient, inline } from '../../../support/client.ts';
import { integers } from '../../../support/integers.ts';
import { startTestRedis } from '../../../support/redis.ts';
import { startGatewayProcess } from '../../../system/gateway-process.ts';
import { startRedisExporter } from '../exporters.ts';
import type { Target } from '../prometheus.ts';
import { hostOf, repeat } from './repeat.ts';

export async function startCut(releasers: Releasers): Promise<Target[]> {
  const [evicting, gateway, gone] = await Promise.all([
    startTestRedis(),
    startGatewayProcess({ FRECHET_REDIS_URL: 'unix:/nonexistent/redis.sock' }),
    startRedisExporter('redis://127.0.0.1:1'),
  ]);
  const connection = connectRedis(evicting.url, 'consumer', () => undefined);
  await connection.call('CONFIG', 'SET', 'maxmemory', '1mb', 'maxmemory-policy', 'allkeys-lru');
  connection.disconnect();
  const redis = await startRedisExporter(evicting.url);
  for (const [name, part] of Object.entries({ evicting, gateway, gone, redis })) {
    releasers.push(name, () => part.stop());
  }
  const client = createClient(gateway.url);
  const job = {
    operation: 'jvp',
    operands: { A: inline(integers(1, 1, 1)) },
    direction: inline(integers(1, 1, 2)),
  };
  repeat(releasers, 700, () => client.submit(job));
  repeat(releasers, 700, () => client.read('01ARZ3NDEKTSV4RRFFQ69G5FAV'));
  const target = { namespace: 'cut' };
  return [
    { ...target, job: 'frechet-gateway', pod: 'gateway', address: hostOf(gateway.adminUrl) },
    { ...target, job: 'frechet-worker', pod: 'gone', address: '127.0.0.1:1' },
    { ...target, job: 'frechet-redis', pod: 'redis', address: redis.address },
    { ...target, job: 'frechet-redis', pod: 'gone', address: gone.address },
  ];
}
