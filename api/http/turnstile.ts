// Lets a number of requests through at a time; the others wait in line, unread, so that their clients slow down by
// themselves. Who waits too long is told to come again. A place is for those who move: one whose client is slow waits for
// it outside, so that slow clients, however many, keep no place from a fast one.

import type { Request } from 'express';
import { FrechetError } from '../../shared/errors.ts';

const RETRY_AFTER_SECONDS = 5;

export interface TurnstileLimits {
  /** How many are inside at a time. */
  readonly places: number;
  /** How many more may have begun, and wait outside for their clients: what they have read stays in memory. */
  readonly outside: number;
  readonly waitSeconds: number;
}

/** The place of one request. */
export interface Place {
  /** Gives the place to others while `wait` lasts, then waits in line again. @throws system-busy */
  outside<T>(wait: () => Promise<T>): Promise<T>;
}

export class Turnstile {
  readonly #limits: TurnstileLimits;
  readonly #line: (() => void)[] = [];
  /** How those who offer their places give them up, the longest offer first. */
  readonly #offers = new Set<() => void>();
  #inside = 0;
  #outside = 0;

  constructor(limits: TurnstileLimits) {
    this.#limits = limits;
  }

  /** Runs `pass` when it is the request's turn. @throws system-busy; http-syntax where the client went away waiting */
  async pass<T>(request: Request, pass: (place: Place) => Promise<T>): Promise<T> {
    await this.enter(request);
    let isInside = true;
    const outside = async <R>(wait: () => Promise<R>): Promise<R> => {
      if (this.#outside >= this.#limits.outside) throw tooBusy();
      this.leave();
      isInside = false;
      this.#outside += 1;
      const result = await wait().finally(() => {
        this.#outside -= 1;
      });
      await this.enter(request);
      isInside = true;
      return result;
    };
    try {
      return await pass({ outside });
    } finally {
      if (isInside) this.leave();
    }
  }

  /** For those whose stay is not one call; they `leave` once. @throws as `pass` does */
  async enter(request: Request): Promise<void> {
    if (this.#inside < this.#limits.places) {
      this.#inside += 1;
      return;
    }
    const turn = this.#wait(request);
    const [giveUp] = this.#offers;
    if (giveUp !== undefined) this.#accept(giveUp);
    await turn;
  }

  /**
   * Keeps the place until somebody needs it; then `giveUp` is called, which leaves as soon as it can.
   *
   * @returns what takes the offer back
   */
  offer(giveUp: () => void): () => void {
    this.#offers.add(giveUp);
    if (this.#line.length > 0) this.#accept(giveUp);
    return () => void this.#offers.delete(giveUp);
  }

  #accept(giveUp: () => void): void {
    this.#offers.delete(giveUp);
    giveUp();
  }

  /** The place goes to the next in line without being free in between, so that nobody overtakes. */
  leave(): void {
    const next = this.#line.shift();
    if (next === undefined) this.#inside -= 1;
    else next();
  }

  #wait(request: Request): Promise<void> {
    return new Promise((resolve, reject) => {
      if (request.res?.destroyed) return void reject(clientGone());
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
      const gone = () => leave(clientGone());
      const timer = setTimeout(() => leave(tooBusy()), this.#limits.waitSeconds * 1000);
      request.res?.once('close', gone);
      this.#line.push(admit);
    });
  }
}

function clientGone(): FrechetError {
  return new FrechetError('http-syntax', 'the connection closed before its turn came');
}

export function tooBusy(): FrechetError {
  return new FrechetError('system-busy', 'too many large transfers at once; try again shortly', {
    retryAfterSeconds: RETRY_AFTER_SECONDS,
  });
}
