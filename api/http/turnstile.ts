// Lets a number of requests through at a time; the others wait in line, unread, so that their clients slow down by
// themselves. Who waits too long is told to come again.

import type { Request } from 'express';
import { FrechetError } from '../../shared/errors.ts';

const RETRY_AFTER_SECONDS = 5;

export class Turnstile {
  readonly #places: number;
  readonly #waitMs: number;
  readonly #line: (() => void)[] = [];
  #inside = 0;

  constructor(places: number, waitSeconds: number) {
    this.#places = places;
    this.#waitMs = waitSeconds * 1000;
  }

  /** Runs `pass` when it is the request's turn. @throws system-busy; http-syntax where the client went away waiting */
  async pass<T>(request: Request, pass: () => Promise<T>): Promise<T> {
    if (this.#inside >= this.#places) await this.#wait(request);
    else this.#inside += 1;
    try {
      return await pass();
    } finally {
      // The place goes to the next in line without being free in between, so that nobody overtakes.
      const next = this.#line.shift();
      if (next === undefined) this.#inside -= 1;
      else next();
    }
  }

  #wait(request: Request): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = (finish: () => void) => {
        clearTimeout(timer);
        request.res?.off('close', gone);
        finish();
      };
      const admit = () => settle(resolve);
      const leave = (error: FrechetError) => {
        this.#line.splice(this.#line.indexOf(admit), 1);
        settle(() => reject(error));
      };
      const gone = () => leave(new FrechetError('http-syntax', 'the connection closed before its turn came'));
      const timer = setTimeout(() => leave(tooBusy()), this.#waitMs);
      request.res?.once('close', gone);
      this.#line.push(admit);
    });
  }
}

function tooBusy(): FrechetError {
  return new FrechetError('system-busy', 'too many uploads arrive at once; try again shortly', {
    retryAfterSeconds: RETRY_AFTER_SECONDS,
  });
}
