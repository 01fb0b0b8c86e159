// The gauges of unfinished work, read when somebody scrapes. Every gateway shows the same numbers: those of Redis.

import type { GatewayDeps } from '../deps.ts';

/** To be awaited before the registry is rendered. Without Redis the gauges say NaN, which is not zero. */
export async function refreshLoadGauges({
  live,
  log,
  metrics,
}: Pick<GatewayDeps, 'live' | 'log' | 'metrics'>): Promise<void> {
  const load = await live.load().catch((error: unknown) => {
    log.debug({ err: error }, 'the load is not known');
    return { queued: Number.NaN, running: Number.NaN, backlogFlops: Number.NaN };
  });
  metrics.frechet_jobs.set({ state: 'queued' }, load.queued);
  metrics.frechet_jobs.set({ state: 'running' }, load.running);
  metrics.frechet_backlog_flops.set(load.backlogFlops);
}
