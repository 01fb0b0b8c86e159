// The first thing a route needs to know: whose request it is. Everything behind it is given a tenant and sees nothing
// else. Deliberately absent: what a tenant may do, which the use cases ask as they need it.

import type { NextFunction, Request, RequestHandler, Response } from 'express';
import { FrechetError } from '../../shared/errors.ts';
import type { Tenants } from './tenants.ts';

/** @param openPaths answered to everybody: they tell nothing of any tenant */
export function authenticate(tenants: Tenants, openPaths: ReadonlySet<string>): RequestHandler {
  return (request: Request, response: Response, next: NextFunction) => {
    const tenant = tenants.identify(request.headers.authorization);
    if (tenant !== undefined) request.tenant = tenant;
    else if (!openPaths.has(request.path)) {
      response.setHeader('WWW-Authenticate', 'Bearer');
      throw new FrechetError('unauthorized', 'send Authorization: Bearer, and a key that is known here');
    }
    next();
  };
}
