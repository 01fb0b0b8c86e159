// Who is who: a tenant for each key, and what each tenant may use. Without keys everybody is the one tenant `default`.
// The file holds digests, so that it can be read without learning a key.

import { createHash, timingSafeEqual } from 'node:crypto';
import { z } from 'zod';
import { TENANT_JOBS_MAX } from '../../shared/job/limits.ts';
import { parseDocument } from '../../shared/job/schema-faults.ts';

export const DEFAULT_TENANT = 'default';

/** Undefined where there is no limit. */
export interface TenantLimits {
  readonly requestsPerMinute: number | undefined;
  readonly storedBytes: number | undefined;
  readonly queuedJobs: number;
  readonly queuedFlops: bigint | undefined;
}

export interface Tenants {
  /** The tenant of an `Authorization` header; undefined where it holds no known key. */
  identify(authorization: string | undefined): string | undefined;
  /** Also of tenants that no key names any more. */
  limitsOf(tenant: string): TenantLimits;
}

const LIMITS_DEFAULT: TenantLimits = {
  requestsPerMinute: undefined,
  storedBytes: undefined,
  queuedJobs: TENANT_JOBS_MAX,
  queuedFlops: undefined,
};

const count = z.int().min(0);
const limits = z.strictObject({
  requestsPerMinute: z.int().min(1).optional(),
  storedBytes: count.optional(),
  queuedJobs: count.optional(),
  queuedFlops: z
    .union([
      count.transform(BigInt),
      z
        .string()
        .regex(/^\d{1,30}$/)
        .transform(BigInt),
    ])
    .optional(),
});

/** What the key file holds (contract §8). A tenant may have several keys; what limits it stands with one of them. */
const keyFile = z.array(
  z.strictObject({
    // A segment of the store's keys, and never `.` or `..`.
    tenant: z.string().regex(/^[a-z0-9][a-z0-9_-]{0,63}$/, 'lower-case letters, digits, - and _, at most 64'),
    sha256: z.string().regex(/^[0-9a-f]{64}$/, 'the SHA-256 of the key, as 64 lower-case hex digits'),
    limits: limits.optional(),
  }),
);

/** RFC 6750's form of a key; the scheme's name knows no case (RFC 9110). */
const BEARER = /^Bearer +([A-Za-z0-9._~+/=-]{1,1024})$/i;

/** Everybody is one tenant, with the limits a tenant has by default. */
export function anonymousTenants(): Tenants {
  return { identify: () => DEFAULT_TENANT, limitsOf: () => LIMITS_DEFAULT };
}

/** @throws schema, json-syntax (SyntaxError of JSON.parse) */
export function parseTenants(text: string): Tenants {
  const entries = parseDocument(keyFile, JSON.parse(text));
  const keys = entries.map(({ tenant, sha256 }) => ({ tenant, digest: Buffer.from(sha256, 'hex') }));
  const limitsByTenant = new Map<string, TenantLimits>();
  for (const { tenant, limits: given } of entries) {
    if (given !== undefined) limitsByTenant.set(tenant, withDefaults(given));
  }
  return {
    identify(authorization) {
      const key = BEARER.exec(authorization ?? '')?.[1];
      if (key === undefined) return undefined;
      const digest = createHash('sha256').update(key).digest();
      // All of them are looked at, so that the time says nothing about which one it was.
      const found = keys.filter(known => timingSafeEqual(known.digest, digest));
      return found[0]?.tenant;
    },
    limitsOf: tenant => limitsByTenant.get(tenant) ?? LIMITS_DEFAULT,
  };
}

function withDefaults(given: z.output<typeof limits>): TenantLimits {
  return {
    requestsPerMinute: given.requestsPerMinute,
    storedBytes: given.storedBytes,
    queuedJobs: given.queuedJobs ?? LIMITS_DEFAULT.queuedJobs,
    queuedFlops: given.queuedFlops,
  };
}
