// How often a tenant may ask, counted by all gateways together in Redis. While Redis is away nobody is counted: reading
// goes on, and accepting work stops for other reasons.

import { createHash } from 'node:crypto';
import type { NextFunction, Request, RequestHandler, Response } from 'express';
import { type RateLimitInfo, rateLimit } from 'express-rate-limit';
import { RedisStore } from 'rate-limit-redis';
import { FrechetError } from '../../shared/errors.ts';
import type { Logger } from '../../shared/io/logger.ts';
import type { RedisCall } from '../../shared/io/redis.ts';
import { REDIS_PREFIX } from '../../shared/io/redis.ts';
import type { Tenants } from './tenants.ts';

const WINDOW_MS = 60_000;

/** To be passed after `authenticate`. A request without a tenant is of an open path, and is not counted. */
export function limitRequests(tenants: Tenants, redisCall: RedisCall, log: Logger): RequestHandler {
  const limitOf = (tenant: string | undefined) =>
    tenant === undefined ? undefined : tenants.limitsOf(tenant).requestsPerMinute;
  return rateLimit({
    windowMs: WINDOW_MS,
    store: new RedisStore({
      prefix: `${REDIS_PREFIX}:requests:`,
      sendCommand: (...command) => sendCommand(redisCall, command),
    }),
    keyGenerator: request => request.tenant,
    skip: request => limitOf(request.tenant) === undefined,
    limit: request => limitOf(request.tenant) ?? Number.MAX_SAFE_INTEGER,
    passOnStoreError: true,
    logger: {
      warn: error => log.warn({ err: error }, 'counting requests'),
      error: error => log.warn({ err: error }, 'requests are not counted'),
    },
    standardHeaders: 'draft-8',
    legacyHeaders: false,
    handler: refuse,
  });
}

function refuse(request: Request, _response: Response, next: NextFunction): void {
  const { rateLimit: info } = request as Request & { rateLimit?: RateLimitInfo }; // set by rateLimit
  const { limit, used, resetTime } = info ?? {};
  const seconds = Math.ceil(((resetTime?.getTime() ?? 0) - Date.now()) / 1000);
  next(
    new FrechetError('too-many-requests', 'as many requests a minute as this tenant may make', {
      ...(limit === undefined ? {} : { limit }),
      ...(used === undefined ? {} : { requested: used }),
      retryAfterSeconds: Math.max(1, seconds),
    }),
  );
}

type Reply = boolean | number | string | (boolean | number | string)[];

/** The store keeps the failure of its first SCRIPT LOAD for ever; the digest it wants can be told without Redis. */
async function sendCommand(redisCall: RedisCall, [name = '', ...args]: string[]): Promise<Reply> {
  try {
    return (await redisCall(name, ...args)) as Reply; // what its scripts answer
  } catch (error) {
    if (name !== 'SCRIPT') throw error;
    return createHash('sha1')
      .update(args[1] ?? '')
      .digest('hex');
  }
}
