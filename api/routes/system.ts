// About the service itself: is it alive, is it ready, what runs, what are its limits.

import { FrechetError } from '../../shared/errors.ts';
import { readyText } from '../../shared/io/probes.ts';
import { redisOutage } from '../../shared/io/redis.ts';
import * as limits from '../../shared/job/limits.ts';
import type { GatewayDeps } from '../deps.ts';
import type { Route } from '../http/route.ts';
import { flopsCount } from '../jobs/job-document.ts';

const PROBE_RETRY_SECONDS = 2;

type SystemDeps = Pick<GatewayDeps, 'version' | 'live' | 'readiness' | 'limitation'>;

export function systemRoutes(deps: SystemDeps): readonly Route[] {
  return [
    {
      method: 'GET',
      path: '/livez',
      isOpen: true,
      handle: (_request, response) => void response.type('text/plain').send('live\n'),
    },
    {
      method: 'GET',
      path: '/readyz',
      isOpen: true,
      handle: async (_request, response) => {
        const fault = await deps.readiness();
        if (fault !== undefined) {
          throw new FrechetError('unavailable', fault, { retryAfterSeconds: PROBE_RETRY_SECONDS });
        }
        response.type('text/plain').send(readyText(await deps.limitation()));
      },
    },
    {
      method: 'GET',
      path: '/v1/system',
      handle: async (_request, response) => void response.json(await systemDocument(deps)),
    },
  ];
}

async function systemDocument({ version, live }: SystemDeps) {
  try {
    const [workers, queue] = await Promise.all([live.workers(), live.load()]);
    return { version, limits: limitsDocument(), workers, queue };
  } catch (error) {
    throw redisOutage(error);
  }
}

/** Every limit of shared/job/limits.ts under its own name, `JSON_BODY_BYTES_MAX` as `jsonBodyBytesMax`. */
function limitsDocument(): Record<string, number | string> {
  return Object.fromEntries(
    Object.entries(limits).map(([name, limit]) => [
      camelCase(name),
      typeof limit === 'bigint' ? flopsCount(limit) : limit,
    ]),
  );
}

function camelCase(name: string): string {
  return name.toLowerCase().replaceAll(/_(\w)/g, (_match, letter: string) => letter.toUpperCase());
}
