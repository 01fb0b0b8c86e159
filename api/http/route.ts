// The table of routes: what the gateway answers is data, so that 405 with `Allow`, the closed set of route labels in
// the metrics, and the OpenAPI document follow from one list. HEAD is answered by the handler of GET.

import type { Application, NextFunction, Request, Response } from 'express';
import { FrechetError } from '../../shared/errors.ts';

export type Method = 'GET' | 'POST' | 'DELETE';

export interface Route {
  readonly method: Method;
  /** In OpenAPI's form, `/v1/jobs/{id}`: also the route's label in metrics and logs. */
  readonly path: string;
  /** Answered without a key; then it tells nothing of any tenant. Its path has no parameters. */
  readonly isOpen?: boolean;
  /** Answers, or throws (rejects with) a FrechetError that the problem middleware answers. */
  handle(request: Request, response: Response): Promise<void> | void;
}

/** Registers the routes; a known path with another method is 405. Unknown paths fall through. */
export function mountRoutes(app: Application, routes: readonly Route[]): void {
  for (const [path, methods] of groupByPath(routes)) {
    const mounted = app.route(expressPath(path));
    mounted.all((_request: Request, response: Response, next: NextFunction) => {
      response.locals.route = path;
      next();
    });
    for (const route of methods) {
      mounted[lowerCase(route.method)]((request: Request, response: Response) =>
        route.handle(request, response),
      );
    }
    mounted.all((_request: Request, response: Response) => {
      const allowed = allowedMethods(methods);
      response.set('Allow', allowed);
      throw new FrechetError('method-not-allowed', `this resource supports ${allowed}`);
    });
  }
}

/** The value of a `{name}` segment of the route's path. */
export function pathParameter(request: Request, name: string): string {
  const value = request.params[name];
  return typeof value === 'string' ? value : '';
}

function groupByPath(routes: readonly Route[]): Map<string, Route[]> {
  const groups = new Map<string, Route[]>();
  for (const route of routes) groups.set(route.path, [...(groups.get(route.path) ?? []), route]);
  return groups;
}

function allowedMethods(routes: readonly Route[]): string {
  return routes.flatMap(route => (route.method === 'GET' ? ['GET', 'HEAD'] : [route.method])).join(', ');
}

function expressPath(path: string): string {
  return path.replaceAll(/\{(\w+)\}/g, ':$1');
}

function lowerCase(method: Method): 'get' | 'post' | 'delete' {
  return method.toLowerCase() as Lowercase<Method>;
}
