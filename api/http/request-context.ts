// What every request carries: an id of our own making, the tenant that api/auth decides, and one log line and one
// observation of the duration when its answer ends. Deliberately absent: query strings and bodies in the log.

import { randomUUID } from 'node:crypto';
import type { NextFunction, Request, RequestHandler, Response } from 'express';
import type { Logger } from 'pino';
import type { GatewayMetrics } from '../../shared/io/metrics.ts';
import { traceFields, traceRequest } from '../../shared/io/tracing.ts';

declare global {
  namespace Express {
    interface Request {
      /** Sent back as `X-Request-Id` and as `instance` of a problem. A client's own id is not taken over. */
      id: string;
      /** Whose request it is. Decided by api/auth before any route runs. */
      tenant: string;
    }
  }
}

/** HEAD costs what GET costs, and counts as GET. Any other method is answered with 404 or 405. */
const METHOD_LABELS: ReadonlyMap<string, string> = new Map([
  ['GET', 'GET'],
  ['HEAD', 'GET'],
  ['POST', 'POST'],
  ['DELETE', 'DELETE'],
]);
const LOGGED_PATH_LENGTH_MAX = 200;
/** The client went away before an answer began; nginx's number for it. */
const CLIENT_GONE = 499;

export function requestContext(log: Logger, metrics: GatewayMetrics): RequestHandler {
  return (request: Request, response: Response, next: NextFunction) => {
    const startedAt = process.hrtime.bigint();
    request.id = randomUUID();
    response.setHeader('X-Request-Id', request.id);
    traceRequest(request.headers, endTrace => {
      // Read here: when the answer has ended we are in nobody's trace.
      const traced = traceFields();
      response.once('close', () => {
        const seconds = Number(process.hrtime.bigint() - startedAt) / 1e9;
        const status = response.headersSent ? response.statusCode : CLIENT_GONE;
        const route = routeLabel(response);
        const method = METHOD_LABELS.get(request.method) ?? 'other';
        metrics.frechet_http_request_duration_seconds.observe(
          { method, route, status: String(status) },
          seconds,
        );
        endTrace({ method, route, status, requestId: request.id });
        log.info(
          {
            requestId: request.id,
            ...traced,
            method: request.method,
            route,
            path: request.path.slice(0, LOGGED_PATH_LENGTH_MAX),
            status,
            seconds,
            complete: response.writableFinished,
          },
          'request',
        );
      });
      next();
    });
  };
}

function routeLabel(response: Response): string {
  const route: unknown = response.locals.route;
  return typeof route === 'string' ? route : 'unmatched';
}
