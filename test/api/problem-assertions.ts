// What every problem document promises (contract §2).

import assert from 'node:assert/strict';
import { tmpdir } from 'node:os';
import { ERRORS, type ErrorCode } from '../../shared/errors.ts';

export interface ProblemBody {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly instance: string;
  readonly limit?: number;
  readonly requested?: number;
  readonly errors?: readonly { readonly pointer: string; readonly code: string; readonly detail: string }[];
}

/** Checks status, media type, slug, title and instance; answers the document for what is particular. */
export async function assertProblem(response: Response, code: ErrorCode): Promise<ProblemBody> {
  const body = (await response.json()) as ProblemBody;
  assert.equal(body.type, `urn:frechet:problem:${code}`, JSON.stringify(body));
  assert.equal(response.status, ERRORS[code].status);
  assert.equal(body.status, response.status);
  assert.equal(body.title, ERRORS[code].title);
  assert.equal(response.headers.get('content-type'), 'application/problem+json');
  assert.equal(body.instance, response.headers.get('x-request-id'));
  assert.match(body.instance, /^[0-9a-f-]{36}$/);
  assert.ok(body.detail.length > 0);
  const text = JSON.stringify(body);
  assert.doesNotMatch(text, /\\n {4}at |node_modules|\.[jt]s:\d/, 'no stack');
  for (const path of [process.cwd(), tmpdir()]) assert.ok(!text.includes(path), 'no path');
  if ([429, 503, 507].includes(body.status)) assert.match(response.headers.get('retry-after') ?? '', /^\d+$/);
  return body;
}
