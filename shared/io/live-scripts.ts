// The transitions of live state as Redis scripts: each is atomic, and may run twice with the effect of once. All get
// the same keys in the same order, and the key of one job's progress last. Flops are decimal strings; they pass 2^53,
// where INCRBYFLOAT still has 64 bits of mantissa.

import type { Redis } from 'ioredis';
import { REDIS_PREFIX } from './redis.ts';

export const LIVE_KEY = {
  /** hash: job id → flops still to do */
  backlog: `${REDIS_PREFIX}:backlog`,
  /** number: the sum of that hash */
  backlogFlops: `${REDIS_PREFIX}:backlog-flops`,
  /** hash: job id → tenant, for the jobs of the backlog */
  owners: `${REDIS_PREFIX}:owners`,
  /** hash: job id → bytes that the store has still to take */
  owed: `${REDIS_PREFIX}:owed`,
  /** number: the sum of that hash */
  owedBytes: `${REDIS_PREFIX}:owed-bytes`,
  /** hash: tenant → unfinished jobs */
  tenantJobs: `${REDIS_PREFIX}:tenant-jobs`,
  /** hash: tenant → flops still to do */
  tenantFlops: `${REDIS_PREFIX}:tenant-flops`,
  /** hash: id of a slice, or of a batch being enqueued → jobs it holds a place for, where they are several */
  held: `${REDIS_PREFIX}:held`,
  /** sorted set: ids of the jobs of which no block has begun; ULIDs of equal score sort by age */
  waiting: `${REDIS_PREFIX}:waiting`,
  /** hash: job id → time (ms) its first block began */
  running: `${REDIS_PREFIX}:running`,
  /** hash: `jobs`, `flops` → how much was ever done; only differences mean something */
  done: `${REDIS_PREFIX}:done`,
} as const;

const KEYS = Object.values(LIVE_KEY);

const COMMON = `
local BACKLOG, TOTAL, OWNERS, OWED, OWED_TOTAL, JOBS, FLOPS, HELD, WAITING, RUNNING, DONE, PROGRESS = unpack(KEYS)
local function add(tenant, id, count, flops, bytes)
  if redis.call('HSETNX', BACKLOG, id, flops) == 0 then return end
  redis.call('HSET', OWNERS, id, tenant)
  redis.call('HINCRBY', JOBS, tenant, count)
  redis.call('HINCRBYFLOAT', FLOPS, tenant, flops)
  redis.call('INCRBYFLOAT', TOTAL, flops)
  redis.call('HSET', OWED, id, bytes)
  redis.call('INCRBY', OWED_TOTAL, bytes)
  if count > 1 then redis.call('HSET', HELD, id, count) end
  -- The place that a batch holds until its jobs have their own does not wait for a worker.
  if string.sub(id, -4) ~= '0000' then redis.call('ZADD', WAITING, 0, id) end
end
local function subtract(id, flops)
  local tenant = redis.call('HGET', OWNERS, id)
  if tenant then redis.call('HINCRBYFLOAT', FLOPS, tenant, '-' .. flops) end
  redis.call('INCRBYFLOAT', TOTAL, '-' .. flops)
end
local function pay(id, bytes)
  local owed = tonumber(redis.call('HGET', OWED, id) or '0')
  local paid = math.min(owed, bytes)
  redis.call('HSET', OWED, id, string.format('%.0f', owed - paid))
  redis.call('DECRBY', OWED_TOTAL, string.format('%.0f', paid))
end
`;

const SCRIPTS = {
  // ARGV tenant, id, count, flops, bytes, jobs at most, flops at most (or empty), flops of all at most, bytes of all at most (or empty)
  frechetAdmit: `
if redis.call('HEXISTS', BACKLOG, ARGV[2]) == 1 then return false end
local jobs = tonumber(redis.call('HGET', JOBS, ARGV[1]) or '0')
if jobs + ARGV[3] > tonumber(ARGV[6]) then return {'tenant-jobs', tostring(jobs)} end
local flops = redis.call('HGET', FLOPS, ARGV[1]) or '0'
if ARGV[7] ~= '' and flops + ARGV[4] > tonumber(ARGV[7]) then return {'tenant-flops', flops} end
local total = redis.call('GET', TOTAL) or '0'
if total + ARGV[4] > tonumber(ARGV[8]) then return {'system-flops', total} end
local owed = redis.call('GET', OWED_TOTAL) or '0'
if ARGV[9] ~= '' and owed + ARGV[5] > tonumber(ARGV[9]) then return {'store-bytes', owed} end
add(ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4], ARGV[5])
return false`,
  // ARGV tenant, then id, count of jobs, flops and bytes of each place
  frechetEnqueued: `
for i = 2, #ARGV, 4 do add(ARGV[1], ARGV[i], tonumber(ARGV[i + 1]), ARGV[i + 2], ARGV[i + 3]) end`,
  // ARGV job id, time (ms)
  frechetStarted: `
redis.call('ZREM', WAITING, ARGV[1])
return redis.call('HSETNX', RUNNING, ARGV[1], ARGV[2])`,
  // ARGV job id, block, flops of the block, its bytes, ttl
  frechetBlockDone: `
if redis.call('HEXISTS', BACKLOG, ARGV[1]) == 0 then return end
if redis.call('HSETNX', PROGRESS, 'done' .. ARGV[2], 1) == 0 then return end
redis.call('HSET', PROGRESS, ARGV[2], ARGV[3])
redis.call('EXPIRE', PROGRESS, ARGV[5])
redis.call('HINCRBYFLOAT', BACKLOG, ARGV[1], '-' .. ARGV[3])
subtract(ARGV[1], ARGV[3])
pay(ARGV[1], tonumber(ARGV[4]))
redis.call('HINCRBYFLOAT', DONE, 'flops', ARGV[3])`,
  // ARGV id, how many jobs have ended (0 where a place is given back), flops done that no block has told of
  frechetFinished: `
local rest = redis.call('HGET', BACKLOG, ARGV[1])
if rest then
  subtract(ARGV[1], (string.gsub(rest, '^-', '')))
  pay(ARGV[1], math.huge)
  local tenant = redis.call('HGET', OWNERS, ARGV[1])
  local count = redis.call('HGET', HELD, ARGV[1]) or '1'
  if tenant and redis.call('HINCRBY', JOBS, tenant, '-' .. count) <= 0 then
    redis.call('HDEL', JOBS, tenant)
    redis.call('HDEL', FLOPS, tenant)
  end
  redis.call('HDEL', BACKLOG, ARGV[1])
  redis.call('HDEL', OWED, ARGV[1])
  redis.call('HDEL', OWNERS, ARGV[1])
  redis.call('HDEL', HELD, ARGV[1])
  redis.call('HINCRBY', DONE, 'jobs', ARGV[2])
  if ARGV[3] then redis.call('HINCRBYFLOAT', DONE, 'flops', ARGV[3]) end
  if redis.call('HLEN', BACKLOG) == 0 then redis.call('DEL', TOTAL, OWED_TOTAL) end
end
redis.call('ZREM', WAITING, ARGV[1])
redis.call('HDEL', RUNNING, ARGV[1])
redis.call('DEL', PROGRESS)`,
} as const;

type ScriptName = keyof typeof SCRIPTS;

/** Runs one of the scripts; those that know of progress are given its key. */
export type RunScript = (name: ScriptName, args: readonly string[], progressKey?: string) => Promise<unknown>;

/** Defines the scripts on the connection, which may hold them already. */
export function createScripts(redis: Redis): RunScript {
  for (const [name, lua] of Object.entries(SCRIPTS)) {
    redis.defineCommand(name, { numberOfKeys: KEYS.length + 1, lua: COMMON + lua });
  }
  const scripted = redis as Redis & Record<ScriptName, (...args: string[]) => Promise<unknown>>;
  return (name, args, progressKey = LIVE_KEY.done) => scripted[name](...KEYS, progressKey, ...args);
}
