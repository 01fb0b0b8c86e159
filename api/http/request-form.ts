// What is wrong with a request whatever its route: checked before any route looks at it.

import type { NextFunction, Request, Response } from 'express';
import { FrechetError } from '../../shared/errors.ts';
import { expectsContinue } from './body.ts';
import { URL_LENGTH_MAX } from './server.ts';

/** @throws uri-too-long, expectation-failed, http-syntax */
export function refuseMalformed(request: Request, _response: Response, next: NextFunction): void {
  if (request.originalUrl.length > URL_LENGTH_MAX) {
    throw new FrechetError('uri-too-long', `a URL may have at most ${URL_LENGTH_MAX} characters`, {
      limit: URL_LENGTH_MAX,
      requested: request.originalUrl.length,
    });
  }
  if (request.headers.expect !== undefined && !expectsContinue(request)) {
    throw new FrechetError('expectation-failed', 'the only expectation that can be met is 100-continue');
  }
  if (request.httpVersion === '1.1' && request.headers.host === undefined) {
    throw new FrechetError('http-syntax', 'an HTTP/1.1 request needs a Host header');
  }
  next();
}
