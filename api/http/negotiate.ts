// Which representation, whether the client has it already, and which part of it.

import type { Request, Response } from 'express';
import { FrechetError } from '../../shared/errors.ts';

/** The media type the client likes best; without Accept, the first offered. @throws not-acceptable */
export function negotiate<T extends string>(request: Request, response: Response, offered: readonly T[]): T {
  response.vary('Accept');
  const chosen = request.accepts([...offered]);
  const found = offered.find(type => type === chosen);
  if (found !== undefined) return found;
  throw new FrechetError('not-acceptable', `this resource is available as ${offered.join(', ')}`);
}

/**
 * Sets the strong ETag and answers 304 where the client has that representation.
 *
 * @returns true where the answer has been given
 */
export function answerNotModified(request: Request, response: Response, tag: string): boolean {
  response.setHeader('ETag', `"${tag}"`);
  // Whoever may see it may keep it, and asks whether it is still there and still theirs.
  response.setHeader('Cache-Control', 'private, no-cache');
  if (!request.fresh) return false;
  response.status(304).end();
  return true;
}

/** Half-open. */
export interface ByteRange {
  readonly start: number;
  readonly stop: number;
}

/**
 * The one range asked for; undefined where the whole is to be sent: no range, several, a malformed one, or one that
 * `If-Range` ties to another representation.
 *
 * @throws range-not-satisfiable, with `Content-Range` set
 */
export function requestedRange(request: Request, response: Response, size: number): ByteRange | undefined {
  // Ranges are defined for GET alone (RFC 9110 §14.2).
  if (request.method !== 'GET' || !matchesIfRange(request, response)) return undefined;
  const ranges = request.range(size);
  if (ranges === -1) {
    response.setHeader('Content-Range', `bytes */${size}`);
    throw new FrechetError('range-not-satisfiable', `the representation has ${size} bytes`);
  }
  if (ranges === undefined || ranges === -2 || ranges.type !== 'bytes' || ranges.length !== 1)
    return undefined;
  const [range] = ranges;
  return range && { start: range.start, stop: range.end + 1 };
}

function matchesIfRange(request: Request, response: Response): boolean {
  const condition = request.headers['if-range'];
  return condition === undefined || condition === response.getHeader('ETag');
}
