// The Idempotency-Key header. Quotes are part of a key: the header is compared, not interpreted.

import type { Request } from 'express';
import { FrechetError } from '../../shared/errors.ts';
import { IDEMPOTENCY_KEY_LENGTH_MAX } from '../../shared/job/limits.ts';

const VISIBLE = /^[\x21-\x7e]+$/;

/** Undefined where the request has none. @throws http-syntax for one that is empty, too long, or given twice */
export function idempotencyKey(request: Request): string | undefined {
  const values = request.headersDistinct['idempotency-key'];
  if (values === undefined) return undefined;
  const [key = '', ...more] = values;
  if (more.length === 0 && VISIBLE.test(key) && key.length <= IDEMPOTENCY_KEY_LENGTH_MAX) return key;
  throw new FrechetError(
    'http-syntax',
    `an Idempotency-Key has 1 to ${IDEMPOTENCY_KEY_LENGTH_MAX} visible characters, and there is one`,
  );
}
