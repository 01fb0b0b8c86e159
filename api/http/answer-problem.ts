// The one place where an error becomes an answer. The hard part is a refused upload: closing a socket with unread
// bytes resets it, and the client loses the problem it should read. So: answer, read on for a while, then close.

import type { ErrorRequestHandler, NextFunction, Request, Response } from 'express';
import type { Logger } from 'pino';
import { contentLength, isAwaitingContinue } from './body.ts';
import { PROBLEM_MEDIA_TYPE, problemDocument, problemSource, retryAfterSeconds } from './problem.ts';

/** The rest of a refused body is read at most this long, and only while it keeps coming. */
const DRAIN_SECONDS_MAX = 30;
const DRAIN_IDLE_SECONDS = 3;
/** A body up to this size is read to its end for the sake of keeping the connection. */
const KEPT_BODY_BYTES_MAX = 64 * 1024;
/** Headers of the answer that was meant to be. */
const SUCCESS_HEADERS = ['Content-Length', 'ETag', 'Accept-Ranges', 'Location', 'Content-Disposition'];

export function answerProblems(log: Logger): ErrorRequestHandler {
  // Express knows an error handler by its four parameters.
  return (error: unknown, request: Request, response: Response, _next: NextFunction) => {
    answerProblem(error, request, response, log);
  };
}

function answerProblem(error: unknown, request: Request, response: Response, log: Logger): void {
  const source = problemSource(error);
  if (source.code === 'internal') log.error({ err: error, requestId: request.id }, 'a bug answered as 500');
  else if (source.code === 'unavailable') log.warn({ err: error, requestId: request.id }, 'unavailable');
  // The client went away: nobody is left to tell.
  if (response.destroyed) return;
  if (response.headersSent) {
    // Part of an answer is out. Breaking the connection is the only way left to say that it is not whole.
    log.warn({ err: error, requestId: request.id }, 'an answer broke off');
    response.destroy();
    return;
  }
  for (const header of SUCCESS_HEADERS) response.removeHeader(header);
  const problem = problemDocument(source, request.id);
  const retryAfter = retryAfterSeconds(source);
  if (retryAfter !== undefined) response.setHeader('Retry-After', String(retryAfter));
  const body = Buffer.from(JSON.stringify(problem));
  response.statusCode = problem.status;
  response.setHeader('Content-Type', PROBLEM_MEDIA_TYPE);
  response.setHeader('Content-Length', body.length);
  response.setHeader('Cache-Control', 'no-store');
  if (isWorthKeeping(request)) {
    request.resume();
    response.end(body);
  } else {
    response.setHeader('Connection', 'close');
    response.write(body);
    if (isAwaitingContinue(request)) response.end();
    else drainThenEnd(request, response);
  }
}

/** Whether what is left of the request is little enough to keep the connection for the next one. */
function isWorthKeeping(request: Request): boolean {
  if (request.complete) return true;
  if (isAwaitingContinue(request)) return false;
  if (request.headers['transfer-encoding'] !== undefined) return false;
  return (contentLength(request) ?? 0) <= KEPT_BODY_BYTES_MAX;
}

function drainThenEnd(request: Request, response: Response): void {
  const end = () => {
    clearTimeout(idle);
    clearTimeout(latest);
    request.off('data', postpone);
    response.end();
  };
  const idle = setTimeout(end, DRAIN_IDLE_SECONDS * 1000);
  const latest = setTimeout(end, DRAIN_SECONDS_MAX * 1000);
  const postpone = () => idle.refresh();
  request.once('end', end).once('close', end).on('data', postpone);
  request.resume();
}
