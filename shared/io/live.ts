// What is true of unfinished jobs right now, in Redis: the backlog, who runs, how far. All of it may be lost at any
// moment and is rebuilt by working on; nothing here decides a job's fate.

import type { Redis } from 'ioredis';
import { createScripts, LIVE_KEY } from './live-scripts.ts';
import { REDIS_PREFIX } from './redis.ts';

const KEY = {
  ...LIVE_KEY,
  /** hash: worker id → JSON of WorkerPresence */
  workers: `${REDIS_PREFIX}:workers`,
  /** pub/sub channel of LiveEvent */
  events: `${REDIS_PREFIX}:events`,
  /** hash: block → flops done in it, and `done<block>` for each that is done */
  progress: (jobId: string) => `${REDIS_PREFIX}:progress:${jobId}`,
  /** number: bytes a tenant has stored, while that is known */
  stored: (tenant: string) => `${REDIS_PREFIX}:stored:${tenant}`,
};

/** A worker is live while its presence is younger than this. */
export const PRESENCE_SECONDS = 30;
/** Progress of a job that nobody touches any more is forgotten. */
const PROGRESS_SECONDS = 24 * 3600;
const SCAN_COUNT = '1000';

export interface WorkerPresence {
  readonly id: string;
  readonly version: string;
  readonly kernel: string;
  readonly threads: number;
  readonly memoryBytes: number;
  /** The largest working set of a block that it holds. */
  readonly workingSetBytes: number;
  readonly startedAt: string;
  /** By the clock of Redis: those of worker and gateway may be minutes apart. */
  readonly seenAt: string;
}

/** A hint, sent at most once and perhaps never: look at the store for what is true. */
export interface LiveEvent {
  readonly type: 'started' | 'progress' | 'block' | 'finished' | 'cancel' | 'slice';
  readonly tenant: string;
  /** Of a slice, its id: jobs of it have ended. */
  readonly jobId: string;
  readonly block?: number;
}

export interface JobProgress {
  readonly startedAt: string;
  readonly flopsDone: bigint;
}

/** Work that asks for a place in the backlog: a job, or all jobs of a batch. */
export interface AdmissionRequest {
  readonly tenant: string;
  readonly id: string;
  readonly jobs: number;
  readonly flops: bigint;
  /** What the store will take of it. */
  readonly bytes: number;
}

/** What is left to do of a job, or has been done of it. */
export interface Amount {
  readonly flops: bigint;
  /** Of results in the store. */
  readonly bytes: number;
}

export interface AdmissionLimits {
  readonly tenantJobsMax: number;
  readonly tenantFlopsMax: bigint | undefined;
  readonly systemFlopsMax: bigint;
  /** Undefined where the store does not know its size. */
  readonly storeBytesMax: number | undefined;
}

/** A place in the backlog: of a job, or (its id) of a slice. */
export interface Place {
  readonly id: string;
  readonly jobs: number;
  /** A decimal string. */
  readonly flops: string;
  readonly bytes: number;
}

/** Which limit refuses, and what counts towards it already. */
export interface Refusal {
  readonly limit: 'tenant-jobs' | 'tenant-flops' | 'system-flops' | 'store-bytes';
  readonly current: number;
}

/** How the work-list moves. The counts never stop growing: differences tell the rate. */
export interface Pressure {
  /** The oldest job of which no block has begun. */
  readonly oldestWaiting: string | undefined;
  readonly jobsDone: number;
  readonly flopsDone: number;
}

export type Live = ReturnType<typeof createLive>;

/** @param redis any connection that is not in subscriber mode; the scripts are defined on it. */
export function createLive(redis: Redis) {
  const run = createScripts(redis);
  let knownWorkingSets: readonly number[] = [];

  /** Milliseconds since the epoch by the one clock that all processes share. */
  async function redisNowMs(): Promise<number> {
    const [seconds, microseconds] = await redis.time();
    return Number(seconds) * 1000 + Math.floor(Number(microseconds) / 1000);
  }

  /** The live workers; entries of dead ones are removed on the way. */
  async function workers(): Promise<WorkerPresence[]> {
    const [nowMs, entries] = await Promise.all([redisNowMs(), redis.hgetall(KEY.workers)]);
    const all = Object.values(entries).map(json => JSON.parse(json) as WorkerPresence);
    const isLive = (worker: WorkerPresence) => Date.parse(worker.seenAt) > nowMs - PRESENCE_SECONDS * 1000;
    const dead = all.filter(worker => !isLive(worker)).map(worker => worker.id);
    if (dead.length > 0) await redis.hdel(KEY.workers, ...dead);
    return all.filter(isLive);
  }

  return {
    workers,

    /**
     * The largest working set that each live worker holds, in bytes. While Redis is away, or names none because it lost everything, those
     * that this process saw last: they are most likely still there, and are what will run a job accepted now.
     */
    async workingSets(): Promise<readonly number[]> {
      const seen = await workers().catch(() => []);
      if (seen.length > 0) knownWorkingSets = seen.map(({ workingSetBytes }) => workingSetBytes);
      return knownWorkingSets;
    },

    /** Takes places in the backlog where all limits allow it, else says which does not. Repeating it changes nothing. */
    async admit(
      { tenant, id, jobs, flops, bytes }: AdmissionRequest,
      { tenantJobsMax, tenantFlopsMax, systemFlopsMax, storeBytesMax }: AdmissionLimits,
    ): Promise<Refusal | undefined> {
      const limits = [tenantJobsMax, tenantFlopsMax ?? '', systemFlopsMax, storeBytesMax ?? ''];
      const refused = await run('frechetAdmit', [tenant, id, ...[jobs, flops, bytes, ...limits].map(String)]);
      if (refused === null) return undefined;
      const [limit, current] = refused as [Refusal['limit'], string];
      return { limit, current: Number(current) };
    },

    /** Gives back places that no job has come to need, and those held for a batch once its jobs have their own. */
    async release(id: string): Promise<void> {
      await run('frechetFinished', [id, '0'], KEY.progress(id));
    },

    async noteEnqueued(tenant: string, jobId: string, { flops, bytes }: Amount): Promise<void> {
      await run('frechetEnqueued', [tenant, jobId, '1', String(flops), String(bytes)]);
    },

    /** The same for many jobs and slices at once: at most a thousand, since Redis does nothing else meanwhile. */
    async noteAllEnqueued(tenant: string, places: readonly Place[]): Promise<void> {
      await run('frechetEnqueued', [
        tenant,
        ...places.flatMap(({ id, jobs, flops, bytes }) => [id, String(jobs), flops, String(bytes)]),
      ]);
    },

    /** True where no block of the job had begun before. */
    async noteStarted(jobId: string, atMs: number): Promise<boolean> {
      return (await run('frechetStarted', [jobId, String(atMs)])) === 1;
    },

    /** Flops done within a block that is still being computed. */
    async noteProgress(jobId: string, block: number, flopsDone: bigint): Promise<void> {
      const key = KEY.progress(jobId);
      await redis.pipeline().hset(key, String(block), String(flopsDone)).expire(key, PROGRESS_SECONDS).exec();
    },

    async noteBlockDone(jobId: string, block: number, { flops, bytes }: Amount): Promise<void> {
      const args = [block, flops, bytes, PROGRESS_SECONDS].map(String);
      await run('frechetBlockDone', [jobId, ...args], KEY.progress(jobId));
    },

    async noteFinished(jobId: string): Promise<void> {
      await run('frechetFinished', [jobId, '1'], KEY.progress(jobId));
    },

    /** Jobs of a slice have ended, or will end by themselves. */
    async noteSliceFinished(id: string, jobs: number, flops: bigint): Promise<void> {
      await run('frechetFinished', [id, String(jobs), String(flops)]);
    },

    /** Undefined where no block of the job has begun. */
    async progress(jobId: string): Promise<JobProgress | undefined> {
      const [startedMs, blocks] = await Promise.all([
        redis.hget(KEY.running, jobId),
        redis.hgetall(KEY.progress(jobId)),
      ]);
      if (startedMs === null) return undefined;
      const flops = Object.entries(blocks).filter(([field]) => !field.startsWith('done'));
      const flopsDone = flops.reduce((sum, [, value]) => sum + BigInt(value), 0n);
      return { startedAt: new Date(Number(startedMs)).toISOString(), flopsDone };
    },

    /** The jobs of which a block has begun. There are few: workers begin what they can soon end. */
    async runningJobs(): Promise<string[]> {
      return redis.hkeys(KEY.running);
    },

    async load(): Promise<{ queued: number; running: number; backlogFlops: number }> {
      const [unfinished, runningIds, flops] = await Promise.all([
        redis.hvals(KEY.tenantJobs),
        redis.hkeys(KEY.running),
        redis.get(KEY.backlogFlops),
      ]);
      const held = runningIds.length === 0 ? [] : await redis.hmget(KEY.held, ...runningIds);
      const running = held.reduce((sum, jobs) => sum + Number(jobs ?? 1), 0);
      const all = unfinished.reduce((sum, jobs) => sum + Number(jobs), 0);
      return {
        queued: Math.max(0, all - running),
        running,
        backlogFlops: Math.max(0, Number(flops ?? 0)),
      };
    },

    /** Bytes that the store has still to take of the backlog's results. */
    async owedBytes(): Promise<number> {
      return Number((await redis.get(KEY.owedBytes)) ?? 0);
    },

    async pressure(): Promise<Pressure> {
      const [[oldestWaiting], [jobs, flops]] = await Promise.all([
        redis.zrange(KEY.waiting, '0', '0'),
        redis.hmget(KEY.done, 'jobs', 'flops'),
      ]);
      return { oldestWaiting, jobsDone: Number(jobs ?? 0), flopsDone: Number(flops ?? 0) };
    },

    /** Every id that has a place in the backlog, in no order; some may come twice. */
    async *backlogIds(): AsyncGenerator<string> {
      let cursor = '0';
      do {
        const [next, entries] = await redis.hscan(KEY.backlog, cursor, 'COUNT', SCAN_COUNT);
        cursor = next;
        for (let index = 0; index < entries.length; index += 2) yield entries[index]!;
      } while (cursor !== '0');
    },

    /** Which of the jobs have a place in the backlog, as one boolean for each. */
    async areEnqueued(jobIds: readonly string[]): Promise<boolean[]> {
      if (jobIds.length === 0) return [];
      return (await redis.hmget(KEY.backlog, ...jobIds)).map(flops => flops !== null);
    },

    /** Bytes a tenant has stored, as last measured and counted since; undefined where nobody measured lately. */
    async storedBytes(tenant: string): Promise<number | undefined> {
      const bytes = await redis.get(KEY.stored(tenant));
      return bytes === null ? undefined : Number(bytes);
    },

    /** What measuring found. Somebody else's measure that came first stays, with all that was counted since. */
    async noteStoredBytes(tenant: string, bytes: number, seconds: number): Promise<void> {
      await redis.set(KEY.stored(tenant), String(bytes), 'EX', seconds, 'NX');
    },

    /** Counts bytes that came (or, negative, went), and answers what is stored now; undefined where that is unknown. */
    async addStoredBytes(tenant: string, bytes: number): Promise<number | undefined> {
      const key = KEY.stored(tenant);
      // Between the two the measure may expire: then this begins at zero, for ever. So an age is set on what is made.
      if ((await redis.exists(key)) === 0) return undefined;
      const sum = await redis.incrby(key, bytes);
      if ((await redis.ttl(key)) < 0) await redis.del(key);
      return sum;
    },

    async announceWorker(about: Omit<WorkerPresence, 'seenAt'>): Promise<void> {
      const presence: WorkerPresence = { ...about, seenAt: new Date(await redisNowMs()).toISOString() };
      await redis.hset(KEY.workers, about.id, JSON.stringify(presence));
    },

    async forgetWorker(id: string): Promise<void> {
      await redis.hdel(KEY.workers, id);
    },

    async publish(event: LiveEvent): Promise<void> {
      await redis.publish(KEY.events, JSON.stringify(event));
    },
  };
}

/**
 * Hears of events on a connection of its own.
 *
 * @param subscriber a connection of role `subscriber`, used for nothing else.
 */
export async function subscribeLive(subscriber: Redis, onEvent: (event: LiveEvent) => void): Promise<void> {
  subscriber.on('message', (_channel, message) => onEvent(JSON.parse(message) as LiveEvent));
  await subscriber.subscribe(KEY.events);
}
