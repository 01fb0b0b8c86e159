// How much of what is downloaded lies in memory. Stored data are verified by chunks of 4 MiB, so whoever reads them holds
// one or two; a download has a place among a few while it does. One whose client is slow keeps its place until another
// needs it: then it forgets its chunks but for the piece that is being sent, and reads them again when that has left.

import type { Request } from 'express';
import type { ReadBytes } from '../../shared/io/row-order.ts';
import { Turnstile, tooBusy } from './turnstile.ts';

/** What is not longer takes next to nothing, and goes past the line. */
const SMALL_DATA_BYTES = 64 * 1024;
/** A piece is a copy, so that a write under way does not keep the chunk that it is part of. Smaller ones cost a fast client a tenth of its rate, and a slow one more reading. */
const PIECE_BYTES = 1024 * 1024;
const WAIT_SECONDS_MAX = 60;

export interface DownloadLimits {
  /** How many are under way at a time, the slow ones that hold no more than a piece included. */
  readonly downloads: number;
  /** How many of them hold chunks. */
  readonly lent: number;
  /** How many hold rows of column-ordered data, which are gathered from all of the data and cannot be forgotten. */
  readonly gathered: number;
  /** What each may wait in all for its client before its place is another's who needs it. */
  readonly lentWaitMs: number;
  readonly gatheredWaitMs: number;
}

export interface DownloadData {
  readonly bytes: number;
  readonly read: ReadBytes;
}

export class Downloads {
  readonly #limits: DownloadLimits;
  readonly #lent: Turnstile;
  readonly #gathered: Turnstile;
  #underWay = 0;

  constructor(limits: DownloadLimits) {
    this.#limits = limits;
    this.#lent = new Turnstile({ places: limits.lent, outside: 0, waitSeconds: WAIT_SECONDS_MAX });
    this.#gathered = new Turnstile({ places: limits.gathered, outside: 0, waitSeconds: WAIT_SECONDS_MAX });
  }

  /**
   * Runs `send` with a reader of the data that holds their chunks only in its turn.
   *
   * @throws system-busy before anything is read; in the middle where it finds no place again
   */
  async lend(request: Request, data: DownloadData, send: (read: ReadBytes) => Promise<void>): Promise<void> {
    if (data.bytes <= SMALL_DATA_BYTES) return send(data.read);
    await this.#count(async () => {
      // The first turn comes before the answer begins, so that there can be another answer.
      await this.#lent.enter(request);
      let isInside = true;
      const enter = async () => {
        if (!isInside) await this.#lent.enter(request);
        isInside = false;
      };
      try {
        await send((start, stop) => this.#pieces(enter, data.read, start, stop));
      } finally {
        if (isInside) this.#lent.leave();
      }
    });
  }

  /**
   * Runs `send` with pieces behind which much is held to the end. A slow client's connection is broken when another
   * needs the place.
   *
   * @throws system-busy
   */
  async gather(
    request: Request,
    data: DownloadData,
    pieces: AsyncIterable<Uint8Array>,
    send: (pieces: AsyncIterable<Uint8Array>) => Promise<void>,
  ): Promise<void> {
    if (data.bytes <= SMALL_DATA_BYTES) return send(pieces);
    await this.#count(async () => {
      await this.#gathered.enter(request);
      const stay = new Stay(this.#gathered, this.#limits.gatheredWaitMs, () => request.socket.destroy());
      try {
        await send(stay.handOut(pieces));
      } finally {
        this.#gathered.leave();
      }
    });
  }

  async #count(download: () => Promise<void>): Promise<void> {
    if (this.#underWay >= this.#limits.downloads) throw tooBusy();
    this.#underWay += 1;
    try {
      await download();
    } finally {
      this.#underWay -= 1;
    }
  }

  async *#pieces(
    enter: () => Promise<void>,
    read: ReadBytes,
    start: number,
    stop: number,
  ): AsyncGenerator<Uint8Array> {
    let position = start;
    while (position < stop) {
      await enter();
      const chunks = new Chunks(read(position, stop), () => this.#lent.leave());
      const stay = new Stay(this.#lent, this.#limits.lentWaitMs, () => chunks.forget());
      try {
        for await (const piece of stay.handOut(chunks.pieces())) {
          position += piece.byteLength;
          yield piece;
        }
      } finally {
        await chunks.close();
      }
      if (!chunks.areForgotten) return;
    }
  }
}

/** How long the holder of a place has waited for its client. */
class Stay {
  readonly #turnstile: Turnstile;
  readonly #giveUp: () => void;
  #waitLeftMs: number;

  constructor(turnstile: Turnstile, waitMsMax: number, giveUp: () => void) {
    this.#turnstile = turnstile;
    this.#waitLeftMs = waitMsMax;
    this.#giveUp = giveUp;
  }

  /** The pieces, with the place on offer while the client takes too long over them. */
  async *handOut(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const piece of pieces) {
      const startedAt = performance.now();
      let takeBack = () => {};
      const offer = () => {
        takeBack = this.#turnstile.offer(this.#giveUp);
      };
      const timer = setTimeout(offer, Math.max(1, this.#waitLeftMs));
      try {
        yield piece;
      } finally {
        clearTimeout(timer);
        takeBack();
        this.#waitLeftMs -= performance.now() - startedAt;
      }
    }
  }
}

/** Chunks that can be forgotten while a piece of them is on its way: nothing else may refer to them. */
class Chunks {
  readonly #leave: () => void;
  #source: AsyncIterator<Uint8Array> | undefined;
  #chunk: Uint8Array | undefined;
  #closed: Promise<void> | undefined;
  #areForgotten = false;

  constructor(source: AsyncIterable<Uint8Array>, leave: () => void) {
    this.#source = source[Symbol.asyncIterator]();
    this.#leave = leave;
  }

  get areForgotten(): boolean {
    return this.#areForgotten;
  }

  /** Ends where the chunks do, and after `forget`. */
  async *pieces(): AsyncGenerator<Uint8Array> {
    while (await this.#load()) yield this.#take();
  }

  forget(): void {
    this.#areForgotten = true;
    this.close().catch(() => undefined); // it is met when the piece has left
  }

  /** Leaves the place when nothing is read any more. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    const source = this.#source;
    this.#source = undefined;
    this.#chunk = undefined;
    try {
      await source?.return?.();
    } finally {
      this.#leave();
    }
  }

  async #load(): Promise<boolean> {
    while (this.#source !== undefined && !this.#chunk?.byteLength) {
      const next = await this.#source.next();
      if (next.done === true) return false;
      this.#chunk = next.value;
    }
    return this.#source !== undefined;
  }

  #take(): Uint8Array {
    const piece = Buffer.from(this.#chunk!.subarray(0, PIECE_BYTES)); // #load found one
    this.#chunk = this.#chunk!.subarray(PIECE_BYTES);
    return piece;
  }
}

/** Those of this process: it is the process's memory that is at stake. */
export const downloads = new Downloads({
  /** A slow one holds a piece: 256 MiB at the very most. */
  downloads: 256,
  /** A chunk and the next, which is read meanwhile: 128 MiB. */
  lent: 16,
  /** One panel of rows (shared/io/row-order.ts): 128 MiB. */
  gathered: 4,
  lentWaitMs: 250,
  /** To begin again costs the client all it has got, so it is not asked of one that merely has a slow line. */
  gatheredWaitMs: 30_000,
});
