// Request bodies: which media type, how many bytes, how slowly. Everything that reads a body reads it through here.

import type { Request } from 'express';
import { FrechetError } from '../../shared/errors.ts';
import { parseJson } from '../../shared/io/json-text.ts';
import { JSON_BODY_BYTES_MAX } from '../../shared/job/limits.ts';
import { type HeldBodies, heldBodies } from './held-bodies.ts';
import type { Place } from './turnstile.ts';

/** A body must bring at least this many bytes in every window spent waiting for it; our own slowness does not count. */
const BODY_WINDOW_SECONDS = 30;
const BODY_WINDOW_BYTES_MIN = 64 * 1024;
/** A body that has waited this long in all for its client, with a place of its own, waits on without it … */
const PLACE_WAIT_MS_MAX = 250;
/** … and is known to be slow from then on. */
const SLOW_PLACE_WAIT_MS_MAX = 25;

export interface BodyLimits {
  /**
   * For a body that will be held whole: refused with 413, at once where Content-Length tells, else when it is passed.
   * Absent for one that streams and ends where its own header says.
   */
  readonly bytesMax?: number;
  /** What counts the bytes of bodies held whole. */
  readonly held?: Pick<HeldBodies, 'hold'>;
  readonly windowSeconds?: number;
  /** Where bodies wait in line for their turn: what a slow client's body gives up while it waits. */
  readonly place?: Place | undefined;
}

/**
 * The body as it arrives, with backpressure. Leaving the loop early leaves the rest unread and the connection open,
 * so that a problem can still be answered.
 *
 * @throws body-too-large, request-timeout, system-busy, http-syntax (the client went away)
 */
export async function* bodyChunks(request: Request, limits: BodyLimits = {}): AsyncGenerator<Uint8Array> {
  const bytesMax = limits.bytesMax ?? Number.POSITIVE_INFINITY;
  refuseLarger(contentLength(request) ?? 0, bytesMax);
  sendContinue(request);
  const patience = new Patience(limits.windowSeconds ?? BODY_WINDOW_SECONDS, limits.place);
  let bytes = 0;
  while (!request.readableEnded) {
    if (request.destroyed && !request.complete) throw clientGone();
    const chunk = request.read() as Buffer | null;
    if (chunk === null) {
      await patience.waitFor(request);
      continue;
    }
    bytes += chunk.length;
    refuseLarger(bytes, bytesMax);
    if (limits.bytesMax !== undefined) (limits.held ?? heldBodies).hold(request, chunk.length);
    patience.received(chunk.length);
    yield chunk;
  }
}

/** Counts the time spent waiting for the client, in windows, and what arrived in them. */
class Patience {
  readonly #windowMs: number;
  readonly #place: Place | undefined;
  #waitedMs = 0;
  /** How much more it may wait in its place. */
  #placeWaitLeftMs = PLACE_WAIT_MS_MAX;
  #bytes = 0;

  constructor(windowSeconds: number, place: Place | undefined) {
    this.#windowMs = windowSeconds * 1000;
    this.#place = place;
  }

  received(bytes: number): void {
    this.#bytes += bytes;
  }

  /** Resolves when there may be something to read, an end included. @throws request-timeout, system-busy */
  async waitFor(request: Request): Promise<void> {
    const arrived = (await this.#waitInPlace(request)) || (await this.#waitOutside(request));
    if (arrived && this.#waitedMs < this.#windowMs) return;
    if (this.#bytes < BODY_WINDOW_BYTES_MIN) {
      const seconds = this.#windowMs / 1000;
      throw new FrechetError(
        'request-timeout',
        `the body brought fewer than ${BODY_WINDOW_BYTES_MIN} bytes in ${seconds} s`,
      );
    }
    this.#waitedMs = 0;
    this.#bytes = 0;
  }

  async #waitInPlace(request: Request): Promise<boolean> {
    if (this.#place === undefined) return this.#wait(request, Number.POSITIVE_INFINITY);
    const waitedBeforeMs = this.#waitedMs;
    const arrived = await this.#wait(request, this.#placeWaitLeftMs);
    this.#placeWaitLeftMs -= this.#waitedMs - waitedBeforeMs;
    return arrived;
  }

  async #waitOutside(request: Request): Promise<boolean> {
    if (this.#place === undefined || this.#waitedMs >= this.#windowMs) return false;
    this.#placeWaitLeftMs = SLOW_PLACE_WAIT_MS_MAX;
    return this.#place.outside(() => this.#wait(request, Number.POSITIVE_INFINITY));
  }

  /** Within the window, and the limit if that is less. What the line makes us wait is not the client's fault. */
  async #wait(request: Request, limitMs: number): Promise<boolean> {
    const startedAt = performance.now();
    const arrived = await readableWithin(
      request,
      Math.max(0, Math.min(limitMs, this.#windowMs - this.#waitedMs)),
    );
    this.#waitedMs += performance.now() - startedAt;
    return arrived;
  }
}

const WAKING_EVENTS = ['readable', 'end', 'close', 'error'] as const;

function readableWithin(request: Request, milliseconds: number): Promise<boolean> {
  return new Promise(resolve => {
    const settle = (arrived: boolean) => {
      clearTimeout(timer);
      for (const event of WAKING_EVENTS) request.off(event, wake);
      resolve(arrived);
    };
    const wake = () => settle(true);
    const timer = setTimeout(settle, milliseconds, false);
    for (const event of WAKING_EVENTS) request.on(event, wake);
  });
}

function clientGone(): FrechetError {
  return new FrechetError('http-syntax', 'the connection closed before the body was complete');
}

function refuseLarger(bytes: number, bytesMax: number): void {
  if (bytes <= bytesMax) return;
  throw new FrechetError('body-too-large', `this body may have at most ${bytesMax} bytes`, {
    limit: bytesMax,
    requested: bytes,
  });
}

const continued = new WeakSet<Request>();

/** A client that asked first (Expect: 100-continue) is told to go on only when its body is wanted. */
function sendContinue(request: Request): void {
  if (!expectsContinue(request)) return;
  continued.add(request);
  request.res?.writeContinue();
}

/** Whether the client still waits to be told to send its body. */
export function isAwaitingContinue(request: Request): boolean {
  return expectsContinue(request) && !continued.has(request);
}

export function expectsContinue(request: Request): boolean {
  return request.headers.expect?.toLowerCase() === '100-continue';
}

export function contentLength(request: Request): number | undefined {
  const header = request.headers['content-length'];
  return header === undefined ? undefined : Number(header);
}

/**
 * The body's media type, one of `accepted`, without parameters.
 *
 * @throws media-type-unsupported, encoding-unsupported
 */
export function requireMediaType<T extends string>(request: Request, accepted: readonly T[]): T {
  refuseEncoding(request);
  const [essence = '', ...parameters] = (request.headers['content-type'] ?? '').split(';');
  const found = accepted.find(type => type === essence.trim().toLowerCase());
  const charset = parameters
    .map(parameter => /^\s*charset="?([^"]*)"?\s*$/i.exec(parameter)?.[1])
    .find(Boolean);
  if (found !== undefined && (charset === undefined || /^(utf-?8|us-ascii)$/i.test(charset))) return found;
  throw new FrechetError(
    'media-type-unsupported',
    found === undefined ? `send Content-Type: ${accepted.join(', ')}` : `${found} must be encoded as UTF-8`,
  );
}

function refuseEncoding(request: Request): void {
  const encoding = request.headers['content-encoding'];
  const transfer = request.headers['transfer-encoding'];
  if (encoding !== undefined && !/^\s*(identity)?\s*$/i.test(encoding)) {
    throw new FrechetError('encoding-unsupported', 'send the body without Content-Encoding');
  }
  if (transfer !== undefined && transfer.trim().toLowerCase() !== 'chunked') {
    throw new FrechetError('encoding-unsupported', 'the only Transfer-Encoding understood is chunked');
  }
}

/**
 * The JSON body. The media type is the caller's to require.
 *
 * @throws body-too-large, request-timeout, json-syntax, schema (what no document may have: json-text.ts)
 */
export async function readJson(request: Request): Promise<unknown> {
  return parseJson(await readWhole(request));
}

/** The body as it came, at most JSON_BODY_BYTES_MAX. @throws body-too-large, request-timeout */
export async function readWhole(request: Request): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of bodyChunks(request, { bytesMax: JSON_BODY_BYTES_MAX })) chunks.push(chunk);
  return Buffer.concat(chunks);
}
