// Which representation, whether the client has it already, and which part of it.

import type { Request, Response } from 'express';
import { FrechetError } from '../../shared/errors.ts';

const CHARSET = 'charset=utf-8';

/** The media type the client likes best; without Accept, the first offered. @throws not-acceptable */
export function negotiate<T extends string>(request: Request, response: Response, offered: readonly T[]): T {
  response.vary('Accept');
  // Many clients name the charset that every text of ours has.
  const chosen = request.accepts(offered.flatMap(type => [type, `${type};${CHARSET}`]));
  const found = offered.find(type => chosen === type || chosen === `${type};${CHARSET}`);
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
  // Express' request.fresh gives in to `Cache-Control: no-cache`, which fetch() adds to every conditional request; that
  // directive is for caches on the way, and to an origin a matching tag is a matching tag.
  const tags = request.headers['if-none-match']?.split(',').map(given => given.trim().replace(/^W\//, ''));
  if (!tags?.some(given => given === '*' || given === `"${tag}"`)) return false;
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
  const range = parseRange(request.headers.range ?? '', size);
  if (range !== 'outside') return range;
  response.setHeader('Content-Range', `bytes */${size}`);
  throw new FrechetError('range-not-satisfiable', `the representation has ${size} bytes`);
}

/** By RFC 9110 §14.1.2. (Express' parser refuses a suffix longer than the whole, which asks for the whole.) */
function parseRange(header: string, size: number): ByteRange | 'outside' | undefined {
  const match = /^bytes=[ \t]*(\d*)-(\d*)[ \t]*$/i.exec(header);
  const [first = '', last = ''] = match?.slice(1) ?? [];
  if (first === '' && last === '') return undefined;
  if (first === '') {
    return Number(last) === 0 ? 'outside' : { start: Math.max(0, size - Number(last)), stop: size };
  }
  const start = Number(first);
  const stop = last === '' ? size : Math.min(Number(last) + 1, size);
  if (last !== '' && Number(last) < start) return undefined;
  return start >= size ? 'outside' : { start, stop };
}

function matchesIfRange(request: Request, response: Response): boolean {
  const condition = request.headers['if-range'];
  return condition === undefined || condition === response.getHeader('ETag');
}
