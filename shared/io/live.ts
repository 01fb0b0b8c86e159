// What is true of unfinished jobs right now, in Redis: the backlog, who runs, how far. All of it may be lost at any
// moment and is rebuilt by working on; nothing here decides a job's fate.

import type { Redis } from 'ioredis';
import { REDIS_PREFIX } from './redis.ts';

const KEY = {
  /** hash: job id → flops still to do */
  backlog: `${REDIS_PREFIX}:backlog`,
  /** number: the sum of that hash */
  backlogFlops: `${REDIS_PREFIX}:backlog-flops`,
  /** hash: job id → time (ms) its first block began */
  running: `${REDIS_PREFIX}:running`,
  /** hash: worker id → JSON of WorkerPresence */
  workers: `${REDIS_PREFIX}:workers`,
  /** pub/sub channel of LiveEvent */
  events: `${REDIS_PREFIX}:events`,
  progress: (jobId: string) => `${REDIS_PREFIX}:progress:${jobId}`,
};

/** A worker is live while its presence is younger than this. */
export const PRESENCE_SECONDS = 30;
/** Progress of a job that nobody touches any more is forgotten. */
const PROGRESS_SECONDS = 24 * 3600;

export interface WorkerPresence {
  readonly id: string;
  readonly version: string;
  readonly kernel: string;
  readonly threads: number;
  readonly memoryBytes: number;
  readonly startedAt: string;
  readonly seenAt: string;
}

/** A hint, sent at most once and perhaps never: look at the store for what is true. */
export interface LiveEvent {
  readonly type: 'started' | 'progress' | 'block' | 'finished' | 'cancel';
  readonly tenant: string;
  readonly jobId: string;
  readonly block?: number;
}

export interface JobProgress {
  readonly startedAt: string;
  readonly flopsDone: bigint;
}

// Each script is one transition that may run twice with the effect of once. Flops are decimal strings; they pass
// 2^53, where INCRBYFLOAT still has 64 bits of mantissa.
const SCRIPTS = {
  // KEYS backlog, backlogFlops; ARGV job id, flops
  frechetEnqueued: {
    numberOfKeys: 2,
    lua: `if redis.call('HSETNX', KEYS[1], ARGV[1], ARGV[2]) == 1 then redis.call('INCRBYFLOAT', KEYS[2], ARGV[2]) end`,
  },
  // KEYS backlog, backlogFlops, progress; ARGV job id, block, flops of the block, ttl
  frechetBlockDone: {
    numberOfKeys: 3,
    lua: `if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 then return end
if redis.call('HSETNX', KEYS[3], 'done' .. ARGV[2], 1) == 1 then
  redis.call('HSET', KEYS[3], ARGV[2], ARGV[3])
  redis.call('EXPIRE', KEYS[3], ARGV[4])
  redis.call('HINCRBYFLOAT', KEYS[1], ARGV[1], '-' .. ARGV[3])
  redis.call('INCRBYFLOAT', KEYS[2], '-' .. ARGV[3])
end`,
  },
  // KEYS backlog, backlogFlops, running, progress; ARGV job id
  frechetFinished: {
    numberOfKeys: 4,
    lua: `local rest = redis.call('HGET', KEYS[1], ARGV[1])
if rest then
  redis.call('HDEL', KEYS[1], ARGV[1])
  if redis.call('HLEN', KEYS[1]) == 0 then redis.call('DEL', KEYS[2])
  else redis.call('INCRBYFLOAT', KEYS[2], '-' .. string.gsub(rest, '^-', '')) end
end
redis.call('HDEL', KEYS[3], ARGV[1])
redis.call('DEL', KEYS[4])`,
  },
} as const;

type Scripted = Redis & Record<keyof typeof SCRIPTS, (...args: string[]) => Promise<unknown>>;

export type Live = ReturnType<typeof createLive>;

/** @param redis any connection that is not in subscriber mode; the scripts are defined on it. */
export function createLive(redis: Redis) {
  for (const [name, script] of Object.entries(SCRIPTS)) redis.defineCommand(name, script);
  const scripted = redis as Scripted;

  return {
    async noteEnqueued(jobId: string, flops: bigint): Promise<void> {
      await scripted.frechetEnqueued(KEY.backlog, KEY.backlogFlops, jobId, String(flops));
    },

    /** True where no block of the job had begun before. */
    async noteStarted(jobId: string, atMs: number): Promise<boolean> {
      return (await redis.hsetnx(KEY.running, jobId, atMs)) === 1;
    },

    /** Flops done within a block that is still being computed. */
    async noteProgress(jobId: string, block: number, flopsDone: bigint): Promise<void> {
      const key = KEY.progress(jobId);
      await redis.pipeline().hset(key, String(block), String(flopsDone)).expire(key, PROGRESS_SECONDS).exec();
    },

    async noteBlockDone(jobId: string, block: number, flops: bigint): Promise<void> {
      const keys = [KEY.backlog, KEY.backlogFlops, KEY.progress(jobId)];
      await scripted.frechetBlockDone(...keys, jobId, String(block), String(flops), String(PROGRESS_SECONDS));
    },

    async noteFinished(jobId: string): Promise<void> {
      await scripted.frechetFinished(KEY.backlog, KEY.backlogFlops, KEY.running, KEY.progress(jobId), jobId);
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

    async load(): Promise<{ queued: number; running: number; backlogFlops: number }> {
      const [unfinished, running, flops] = await Promise.all([
        redis.hlen(KEY.backlog),
        redis.hlen(KEY.running),
        redis.get(KEY.backlogFlops),
      ]);
      return {
        queued: Math.max(0, unfinished - running),
        running,
        backlogFlops: Math.max(0, Number(flops ?? 0)),
      };
    },

    async announceWorker(presence: WorkerPresence): Promise<void> {
      await redis.hset(KEY.workers, presence.id, JSON.stringify(presence));
    },

    async forgetWorker(id: string): Promise<void> {
      await redis.hdel(KEY.workers, id);
    },

    /** The live workers; entries of dead ones are removed on the way. */
    async workers(nowMs: number): Promise<WorkerPresence[]> {
      const all = Object.values(await redis.hgetall(KEY.workers)).map(
        json => JSON.parse(json) as WorkerPresence,
      );
      const isLive = (worker: WorkerPresence) => Date.parse(worker.seenAt) > nowMs - PRESENCE_SECONDS * 1000;
      const dead = all.filter(worker => !isLive(worker)).map(worker => worker.id);
      if (dead.length > 0) await redis.hdel(KEY.workers, ...dead);
      return all.filter(isLive);
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
