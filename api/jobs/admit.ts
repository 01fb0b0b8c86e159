// Whether there is room for one more job. Decided before anything of it is stored; accepted work always has room to end.

import { FrechetError } from '../../shared/errors.ts';
import { redisOutage } from '../../shared/io/redis.ts';
import type { JobPlan } from '../../shared/job/job-plan.ts';
import type { GatewayDeps } from '../deps.ts';

/** Unfinished jobs of one tenant, unless its key says otherwise. */
export const TENANT_JOBS_MAX = 100_000;
const RETRY_AFTER_SECONDS = 10;

type AdmitDeps = Pick<GatewayDeps, 'live' | 'redisFault' | 'store'>;

/** Refuses before a body is read where nothing could be accepted anyway. @throws unavailable */
export async function requireQueue({ redisFault }: Pick<AdmitDeps, 'redisFault'>): Promise<void> {
  const fault = await redisFault();
  if (fault !== undefined) throw new FrechetError('unavailable', fault, { retryAfterSeconds: 2 });
}

/** @throws too-many-requests, store-full, unavailable */
export async function admitJob({ live, store }: AdmitDeps, plan: JobPlan): Promise<void> {
  const load = await live.load().catch((error: unknown) => {
    throw redisOutage(error);
  });
  const unfinished = load.queued + load.running;
  if (unfinished >= TENANT_JOBS_MAX) {
    throw new FrechetError('too-many-requests', 'as many jobs are unfinished as may be', {
      limit: TENANT_JOBS_MAX,
      requested: unfinished + 1,
      retryAfterSeconds: RETRY_AFTER_SECONDS,
    });
  }
  const usage = await store.usage();
  const bytes = plan.result.dataBytes ?? 0;
  if (usage !== undefined && bytes > usage.freeBytes) {
    throw new FrechetError('store-full', 'the result would not fit into the store', {
      limit: usage.freeBytes,
      requested: bytes,
      retryAfterSeconds: RETRY_AFTER_SECONDS,
    });
  }
}
