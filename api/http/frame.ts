// What every request passes, whatever its route: context, common headers, form, tenant; then the routes; then the one
// place where errors become answers.

import express, { type Application, type NextFunction, type Request, type Response } from 'express';
import { FrechetError } from '../../shared/errors.ts';
import { authenticate } from '../auth/authenticate.ts';
import { limitRequests } from '../auth/limit-requests.ts';
import type { GatewayDeps } from '../deps.ts';
import { answerProblems } from './answer-problem.ts';
import { requestContext } from './request-context.ts';
import { refuseMalformed } from './request-form.ts';
import { mountRoutes, type Route } from './route.ts';

export type FrameDeps = Pick<GatewayDeps, 'log' | 'metrics' | 'draining' | 'tenants' | 'redisCall'>;

/** An app over a table of routes. */
export function createFrame(
  routes: readonly Route[],
  { log, metrics, draining, tenants, redisCall }: FrameDeps,
): Application {
  const app = express();
  app.disable('x-powered-by');
  // ETags are the business of routes that know what they send.
  app.disable('etag');
  app.enable('case sensitive routing');
  app.enable('strict routing');
  app.set('query parser', 'simple');
  app.use(requestContext(log, metrics));
  app.use(commonHeaders(draining));
  app.use(refuseMalformed);
  app.use(authenticate(tenants, new Set(routes.filter(route => route.isOpen).map(route => route.path))));
  app.use(limitRequests(tenants, redisCall, log));
  mountRoutes(app, routes);
  app.use(() => {
    throw new FrechetError('not-found', 'there is no such path');
  });
  app.use(answerProblems(log));
  return app;
}

function commonHeaders(draining: AbortSignal) {
  // A client that keeps its connection would meet a closed one; that goes for requests that came before the end, too.
  const unanswered = new Set<Response>();
  draining.addEventListener('abort', () => unanswered.forEach(sayGoodbye), { once: true });
  return (_request: Request, response: Response, next: NextFunction) => {
    response.setHeader('X-Content-Type-Options', 'nosniff');
    // Only /docs is a page, and says so itself: elsewhere a browser shows data and runs nothing.
    response.setHeader('Content-Security-Policy', "default-src 'none'; frame-ancestors 'none'");
    response.setHeader('Cache-Control', 'no-store');
    if (draining.aborted) sayGoodbye(response);
    unanswered.add(response);
    response.once('close', () => unanswered.delete(response));
    next();
  };
}

function sayGoodbye(response: Response): void {
  if (!response.headersSent) response.setHeader('Connection', 'close');
}
