// The lines in which uploads wait for their turn. It is the memory of the process that is shared out, so the lines are
// this process's.

import type { Request } from 'express';
import { contentLength } from './body.ts';
import { type Place, Turnstile } from './turnstile.ts';

/** Below it an upload takes next to nothing, and goes past the line. */
const SMALL_BODY_BYTES = 64 * 1024;
const UPLOAD_WAIT_SECONDS_MAX = 60;
/** Of a slow upload up to one chunk of 4 MiB lies in memory: 256 MiB at the very most. */
const SLOW_UPLOADS_MAX = 64;

const LINES = {
  /** A `.npy` takes some MiB while it lasts, for the chunk being filled and the one being written. */
  streamed: new Turnstile({ places: 32, outside: SLOW_UPLOADS_MAX, waitSeconds: UPLOAD_WAIT_SECONDS_MAX }),
  /** Text lies there whole, and takes several times its size while it is parsed. */
  parsed: new Turnstile({ places: 8, outside: SLOW_UPLOADS_MAX, waitSeconds: UPLOAD_WAIT_SECONDS_MAX }),
} as const;

/** Runs `receive` when there is room for its body. @throws system-busy; http-syntax where the client went away waiting */
export async function inTurn<T>(
  request: Request,
  line: keyof typeof LINES,
  receive: (place?: Place) => Promise<T>,
): Promise<T> {
  const isSmall = (contentLength(request) ?? Number.POSITIVE_INFINITY) <= SMALL_BODY_BYTES;
  return isSmall ? receive() : LINES[line].pass(request, receive);
}
