// Decides whose request it is. Without a key file there is one tenant; keys become another implementation of this
// middleware, and nothing behind it changes: use cases are given a tenant and see nothing else.

import type { NextFunction, Request, RequestHandler, Response } from 'express';

export const DEFAULT_TENANT = 'default';

export function authenticate(): RequestHandler {
  return (request: Request, _response: Response, next: NextFunction) => {
    request.tenant = DEFAULT_TENANT;
    next();
  };
}
