// The Express app: what every request passes, then the table of routes, then the one place where errors become
// answers. Nothing listens here.

import express, { type Application, type NextFunction, type Request, type Response } from 'express';
import { FrechetError } from '../shared/errors.ts';
import { authenticate } from './auth/tenant.ts';
import type { GatewayDeps } from './deps.ts';
import { answerProblems } from './http/answer-problem.ts';
import { requestContext } from './http/request-context.ts';
import { refuseMalformed } from './http/request-form.ts';
import { mountRoutes, type Route } from './http/route.ts';
import { arrayRoutes } from './routes/arrays.ts';
import { eventRoutes } from './routes/events.ts';
import { jobRoutes } from './routes/jobs.ts';
import { planRoutes } from './routes/plan.ts';
import { resultRoutes } from './routes/results.ts';
import { systemRoutes } from './routes/system.ts';

/** Every route of the public listener. */
export function gatewayRoutes(deps: GatewayDeps): readonly Route[] {
  return [
    ...arrayRoutes(deps),
    ...jobRoutes(deps),
    ...resultRoutes(deps),
    ...eventRoutes(deps),
    ...planRoutes(deps),
    ...systemRoutes(deps),
  ];
}

export function createApp(deps: GatewayDeps): Application {
  return createAppWith(gatewayRoutes(deps), deps);
}

/** The app over a table of routes of any kind. */
export function createAppWith(
  routes: readonly Route[],
  { log, metrics, draining }: Pick<GatewayDeps, 'log' | 'metrics' | 'draining'>,
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
  app.use(authenticate());
  mountRoutes(app, routes);
  app.use(() => {
    throw new FrechetError('not-found', 'there is no such path');
  });
  app.use(answerProblems(log));
  return app;
}

function commonHeaders(draining: AbortSignal) {
  return (_request: Request, response: Response, next: NextFunction) => {
    response.setHeader('X-Content-Type-Options', 'nosniff');
    // Nothing here is a page: a browser that is led here shows data and runs nothing.
    response.setHeader('Content-Security-Policy', "default-src 'none'; frame-ancestors 'none'");
    response.setHeader('Cache-Control', 'no-store');
    // A client that keeps its connection would meet a closed one.
    if (draining.aborted) response.setHeader('Connection', 'close');
    next();
  };
}
