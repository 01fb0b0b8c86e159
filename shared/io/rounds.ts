// In which order the work-list is worked off. Entries are served in rounds, lower ones first (start-time fair queueing:
// Goyal, Vin, Cheng, SIGCOMM 1996). The entries of a job lie in successive rounds, beginning with the one that is being
// served when it comes; so a job of one block waits for one block of each job before it, not for all of them, and no job
// waits for those that come after it for ever. A tenant's jobs begin apart from each other, so that a thousand of them
// do not stand before another tenant's only one.
// Rounds live beside the queue in Redis and are lost with it. They begin anew whenever the queue is empty.

import type { Redis } from 'ioredis';
import { PRIORITY_MAX } from '../job/limits.ts';
import { REDIS_PREFIX } from './redis.ts';

/** So many of a tenant's jobs begin in one round. */
const JOBS_A_ROUND = 8;
/** What BullMQ's 2^21 priorities allow for each of ours. A queue that was never empty for so many is first come, first served. */
const ROUNDS_MAX = 200_000;

const ROUNDS_KEY = `${REDIS_PREFIX}:rounds`;
/** The states of BullMQ in which an entry has a round and will be, or is, served in it. */
const PENDING = ['prioritized', 'wait', 'delayed', 'active'];

const SCRIPTS = {
  // KEYS rounds, the four states; ARGV rounds to the next job of a tenant, then priority and tenant of each job
  frechetBeginRounds: `
if redis.call('ZCARD', KEYS[2]) + redis.call('LLEN', KEYS[3]) + redis.call('ZCARD', KEYS[4])
  + redis.call('LLEN', KEYS[5]) == 0 then redis.call('DEL', KEYS[1]) end
local firsts = {}
for i = 2, #ARGV, 2 do
  local of_tenant = ARGV[i] .. ' ' .. ARGV[i + 1]
  local served = tonumber(redis.call('HGET', KEYS[1], ARGV[i]) or '0')
  local first = math.max(served, tonumber(redis.call('HGET', KEYS[1], of_tenant) or '0'))
  redis.call('HSET', KEYS[1], of_tenant, first + ARGV[1])
  firsts[#firsts + 1] = math.floor(first)
end
return firsts`,
  // KEYS rounds; ARGV priority, round
  frechetServeRound: `
local served = tonumber(redis.call('HGET', KEYS[1], ARGV[1]) or '0')
if tonumber(ARGV[2]) > served then redis.call('HSET', KEYS[1], ARGV[1], ARGV[2]) end`,
} as const;

type ScriptName = keyof typeof SCRIPTS;

/** A job, or the slices of a batch that are enqueued together. */
export interface Arrival {
  readonly tenant: string;
  /** 0 to PRIORITY_MAX, higher first. */
  readonly priority: number;
}

/** @param keyOf the Redis key of a state of the queue */
export function createRounds(redis: Redis, keyOf: (state: string) => string) {
  redis.defineCommand('frechetBeginRounds', {
    numberOfKeys: 1 + PENDING.length,
    lua: SCRIPTS.frechetBeginRounds,
  });
  redis.defineCommand('frechetServeRound', { numberOfKeys: 1, lua: SCRIPTS.frechetServeRound });
  const scripted = redis as Redis & Record<ScriptName, (...args: (string | number)[]) => Promise<unknown>>;
  return {
    /** The first round of each. */
    async begin(arrivals: readonly Arrival[]): Promise<number[]> {
      const jobs = arrivals.flatMap(({ priority, tenant }) => [priority, tenant]);
      const keys = [ROUNDS_KEY, ...PENDING.map(keyOf)];
      return (await scripted.frechetBeginRounds(...keys, 1 / JOBS_A_ROUND, ...jobs)) as number[];
    },

    /** An entry of this place is being served, so whoever comes now comes no earlier than it. */
    async serve(place: number): Promise<void> {
      const band = Math.floor((place - 1) / ROUNDS_MAX);
      await scripted.frechetServeRound(ROUNDS_KEY, PRIORITY_MAX - band, (place - 1) % ROUNDS_MAX);
    },
  };
}

/** BullMQ's number for a round of a priority: from 1 on, smaller ones are served first. */
export function placeOf(priority: number, round: number): number {
  return (PRIORITY_MAX - priority) * ROUNDS_MAX + Math.min(round, ROUNDS_MAX - 1) + 1;
}
