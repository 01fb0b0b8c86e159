// Bodies that are parsed whole lie in memory while they arrive. Each has a limit, and so has their sum: when too many
// large ones come at once, some are told to come again, rather than all of them lost with the process.

import type { Request } from 'express';
import { FrechetError } from '../../shared/errors.ts';

/** Parsing takes several times the bytes for a moment, one body at a time; this leaves room for it in a small pod. */
const HELD_BODIES_BYTES_MAX = 128 * 1024 * 1024;
const RETRY_AFTER_SECONDS = 2;

export class HeldBodies {
  readonly #bytesMax: number;
  readonly #byRequest = new WeakMap<Request, number>();
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /**
   * Counts `bytes` more for the request until its answer has ended.
   *
   * @throws system-busy, http-syntax (the client went away)
   */
  hold(request: Request, bytes: number): void {
    // Its 'close' may be over, and nothing would take the bytes off again.
    if (request.res?.destroyed) {
      throw new FrechetError('http-syntax', 'the connection closed before the body was read');
    }
    if (this.#bytes + bytes > this.#bytesMax) {
      throw new FrechetError('system-busy', 'too many large bodies arrive at once; try again shortly', {
        retryAfterSeconds: RETRY_AFTER_SECONDS,
      });
    }
    const held = this.#byRequest.get(request);
    if (held === undefined) request.res?.once('close', () => this.#release(request));
    this.#byRequest.set(request, (held ?? 0) + bytes);
    this.#bytes += bytes;
  }

  #release(request: Request): void {
    this.#bytes -= this.#byRequest.get(request) ?? 0;
    this.#byRequest.delete(request);
  }
}

/** Those of this process: it is the process's memory that is at stake. */
export const heldBodies = new HeldBodies(HELD_BODIES_BYTES_MAX);
