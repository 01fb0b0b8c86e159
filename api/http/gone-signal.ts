// When to stop working for an answer that nobody will read.

import type { Response } from 'express';

/** One for all: every answer ends, and an error of its own would be made for each. */
const GONE = new Error('nobody reads the answer any more');

/** Aborts when the answer has ended or its client has gone, and when the gateway drains. */
export function goneSignal(response: Response, draining: AbortSignal): AbortSignal {
  const controller = new AbortController();
  const abort = () => controller.abort(GONE);
  response.once('close', () => {
    draining.removeEventListener('abort', abort);
    abort();
  });
  if (draining.aborted || response.destroyed) abort();
  else draining.addEventListener('abort', abort);
  return controller.signal;
}
