// Redis connections, as BullMQ and its outages demand. A producer fails fast, so that a gateway can say 503 at once;
// a consumer waits for ever, so that a worker survives any outage. Deliberately absent: reading the environment.

import { Redis, type RedisOptions } from 'ioredis';
import { FrechetError } from '../errors.ts';

/** Everything Frechet keeps in Redis shares one hash tag, so that it lives in one slot of a cluster. */
export const REDIS_PREFIX = '{frechet}';

export type ConnectionRole = 'producer' | 'consumer' | 'subscriber';

const CONNECT_TIMEOUT_MS = 5_000;
/** A command waits so long for its answer … */
const COMMAND_MS_MAX = 3_000;
/** … and a server that says nothing for so long meanwhile is taken for dead: who has waited for one command in vain meets a closed connection with the next. */
const SILENCE_MS_MAX = 2_500;
/** The same where commands may block: BullMQ's do, for 10 s at most. */
const BLOCKING_SILENCE_MS_MAX = 15_000;
const RECONNECT_DELAY_MS_MAX = 2_000;

const PATIENT: RedisOptions = {
  maxRetriesPerRequest: null,
  enableOfflineQueue: true,
  socketTimeout: BLOCKING_SILENCE_MS_MAX,
  keepAlive: 5_000,
};

const ROLE_OPTIONS: Record<ConnectionRole, RedisOptions> = {
  producer: {
    maxRetriesPerRequest: 1,
    enableOfflineQueue: false,
    commandTimeout: COMMAND_MS_MAX,
    socketTimeout: SILENCE_MS_MAX,
    reconnectOnError: onReadOnly(1),
  },
  consumer: { ...PATIENT, reconnectOnError: onReadOnly(2) },
  subscriber: { ...PATIENT, autoResubscribe: true, reconnectOnError: onReadOnly(2) },
};

/**
 * After a failover the old primary answers READONLY, and the address may lead to the new one. 1: reconnect, and let
 * the command fail, as it should fast; 2: reconnect, and send it again.
 */
function onReadOnly(action: 1 | 2): (error: Error) => 1 | 2 | false {
  return error => (error.message.startsWith('READONLY') ? action : false);
}

/**
 * Opens a connection that reconnects for ever. `redis://`, `rediss://` and `unix:/path` are understood.
 *
 * @param onError hears of every connection fault; without it ioredis would end the process.
 */
export function connectRedis(url: string, role: ConnectionRole, onError: (error: Error) => void): Redis {
  const options = {
    ...ROLE_OPTIONS[role],
    replyMapping: 'legacy' as const,
    connectTimeout: CONNECT_TIMEOUT_MS,
    retryStrategy: (attempt: number) => Math.min(50 * 2 ** Math.min(attempt, 6), RECONNECT_DELAY_MS_MAX),
  };
  const redis = url.startsWith('unix:')
    ? new Redis(url.slice('unix:'.length), options)
    : new Redis(url, options);
  redis.on('error', onError);
  return redis;
}

/** Any command, for libraries that bring their own. */
export type RedisCall = (command: string, ...args: string[]) => Promise<unknown>;

export function redisCall(redis: Redis): RedisCall {
  return (command, ...args) => redis.call(command, ...args);
}

/** Why Redis is not usable, in a sentence for a probe; undefined where it is. */
export async function redisFault(redis: Redis): Promise<string | undefined> {
  const { outage, policy } = await examine(redis);
  return outage ?? policyFault(policy);
}

/** The same of its settings alone: while it does not answer nobody knows of a fault. */
export async function redisPolicyFault(redis: Redis): Promise<string | undefined> {
  return policyFault((await examine(redis)).policy);
}

function policyFault(policy: string | undefined): string | undefined {
  if (policy === undefined || policy === 'noeviction') return undefined;
  return `Redis runs with maxmemory-policy ${policy}; set it to noeviction, or queued work can vanish`;
}

interface Examined {
  readonly outage?: string;
  readonly policy?: string | undefined;
}

async function examine(redis: Redis): Promise<Examined> {
  try {
    const answer = (await redis.call('CONFIG', 'GET', 'maxmemory-policy')) as string[];
    return { policy: answer[1] };
  } catch (error) {
    // What ioredis says of a lost connection names its own options, which help nobody who reads a probe.
    if (redis.status !== 'ready')
      return { outage: 'Redis is not reachable; the connection is tried again until it is' };
    if (!isRefusal(error)) return { outage: `Redis does not answer: ${(error as Error).message}` };
    // Managed services forbid CONFIG; INFO tells the same.
    return examineInfo(redis, error);
  }
}

/** Redis has answered, if only that it does not want to; else nobody knows. */
function isRefusal(error: unknown): error is Error {
  return error instanceof Error && error.name === 'ReplyError';
}

async function examineInfo(redis: Redis, cause: Error): Promise<Examined> {
  try {
    return { policy: /^maxmemory_policy:(\S+)/m.exec(await redis.info('memory'))?.[1] };
  } catch {
    return { outage: `Redis does not answer: ${cause.message}` };
  }
}

/** Translates any failure of a Redis command on the gateway into the outage that a client is told of. */
export function redisOutage(error: unknown): FrechetError {
  return new FrechetError(
    'unavailable',
    'the queue is not reachable; try again shortly',
    { retryAfterSeconds: 2 },
    { cause: error },
  );
}
