// Everything the gateway works with, made by main.ts and given to the app, the routes and the use cases. A test makes
// its own: a store in a temporary folder, a private Redis, a clock.

import type { Logger } from 'pino';
import type { ArrayStore } from '../shared/io/array-store.ts';
import type { BatchProgress } from '../shared/io/batch-progress.ts';
import type { Claims } from '../shared/io/claims.ts';
import type { JobStore } from '../shared/io/job-store.ts';
import type { Live } from '../shared/io/live.ts';
import type { GatewayMetrics } from '../shared/io/metrics.ts';
import type { OpenJobs } from '../shared/io/open-jobs.ts';
import type { ReadinessCheck } from '../shared/io/probes.ts';
import type { WorkQueue } from '../shared/io/queue.ts';
import type { RedisCall } from '../shared/io/redis.ts';
import type { Store } from '../shared/io/store/store.ts';
import type { Tenants } from './auth/tenants.ts';
import type { GatewayConfig } from './config.ts';
import type { ArrivingBytes } from './jobs/arriving-bytes.ts';
import type { DrainRate } from './jobs/drain-rate.ts';
import type { JobEvents } from './jobs/job-events.ts';
import type { SmallJobs } from './jobs/small-jobs.ts';
import type { StoredBytes } from './jobs/stored-bytes.ts';

export interface GatewayDeps {
  readonly config: GatewayConfig;
  readonly version: string;
  readonly tenants: Tenants;
  readonly log: Logger;
  readonly store: Store;
  readonly arrays: ArrayStore;
  readonly jobs: JobStore;
  readonly openJobs: OpenJobs;
  readonly claims: Claims;
  readonly batchProgress: BatchProgress;
  readonly queue: WorkQueue;
  /** Accepts small jobs, those that come at the same time together. */
  readonly smallJobs: SmallJobs;
  readonly live: Live;
  readonly events: JobEvents;
  readonly storedBytes: StoredBytes;
  readonly arriving: ArrivingBytes;
  readonly drainRate: DrainRate;
  readonly redisCall: RedisCall;
  readonly metrics: GatewayMetrics;
  /** Milliseconds since the epoch. */
  readonly clock: () => number;
  /** Why the gateway is not ready, in a sentence; undefined where it is. Never throws. */
  readonly readiness: ReadinessCheck;
  /** What the gateway cannot do although it is ready, in a sentence; undefined where there is no such thing. Never throws. */
  readonly limitation: ReadinessCheck;
  /** Why Redis is not usable, in a sentence; undefined where it is. Never throws, and answers within seconds. */
  readonly redisFault: ReadinessCheck;
  /** How far the event loop is behind, on average over the last second or so. */
  readonly loopDelayMs: () => number;
  /** True from SIGTERM on: probes answer 503, long waits and event streams end early. */
  readonly draining: AbortSignal;
}
