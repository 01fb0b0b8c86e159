// Query parameters of listings.

import type { Request } from 'express';
import { FrechetError } from '../../shared/errors.ts';
import { PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX } from '../../shared/job/limits.ts';

export interface PageRequest {
  readonly limit: number;
  /** Opaque to clients; whoever made it checks it. */
  readonly cursor: string | undefined;
}

/** @throws query-invalid */
export function pageRequest(request: Request): PageRequest {
  const limit = queryValue(request, 'limit') ?? String(PAGE_SIZE_DEFAULT);
  if (!/^\d{1,4}$/.test(limit) || Number(limit) < 1 || Number(limit) > PAGE_SIZE_MAX) {
    throw new FrechetError('query-invalid', `limit must be a whole number from 1 to ${PAGE_SIZE_MAX}`);
  }
  return { limit: Number(limit), cursor: queryValue(request, 'cursor') };
}

/** A parameter that may be given once. @throws query-invalid */
export function queryValue(request: Request, name: string): string | undefined {
  const value: unknown = request.query[name];
  if (value === undefined || typeof value === 'string') return value;
  throw new FrechetError('query-invalid', `${name} may be given only once`);
}
