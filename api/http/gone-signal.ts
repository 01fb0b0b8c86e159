// When to stop working for an answer that nobody will read.

import type { Response } from 'express';

/** Aborts when the answer has ended or its client has gone, and when the gateway drains. */
export function goneSignal(response: Response, draining: AbortSignal): AbortSignal {
  const controller = new AbortController();
  const abort = () => controller.abort();
  response.once('close', () => {
    draining.removeEventListener('abort', abort);
    abort();
  });
  if (draining.aborted || response.destroyed) abort();
  else draining.addEventListener('abort', abort);
  return controller.signal;
}
