// Every error leaves as a problem document (RFC 9457), made here and nowhere else.

import { ERRORS, type ErrorCode, type ErrorContext, FrechetError } from '../../shared/errors.ts';

export const PROBLEM_MEDIA_TYPE = 'application/problem+json';

/** Sent with 429, 503 and 507 where the error itself says nothing better. */
const RETRY_AFTER_SECONDS_DEFAULT = 5;
/** One sentence for what is absent and for what is another tenant's, so that nobody can tell them apart. */
const NOT_FOUND_DETAIL = 'There is nothing here that this request may see.';
/** What a client is told of a bug; the log has the rest. */
const INTERNAL_DETAIL = 'The fault has been logged with this request id.';

export interface ProblemDocument extends Omit<ErrorContext, 'retryAfterSeconds'> {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  /** The request id. Absent in a problem that is stored with a job. */
  readonly instance?: string;
}

/** What went wrong, as FrechetError and a stored JobProblem both say it. */
export interface ProblemSource {
  readonly code: ErrorCode;
  readonly detail: string;
  readonly context: ErrorContext;
}

export function problemDocument(source: ProblemSource, instance?: string): ProblemDocument {
  const { status, title } = ERRORS[source.code];
  const { retryAfterSeconds: _header, ...extensions } = source.context;
  return {
    type: `urn:frechet:problem:${source.code}`,
    title,
    status,
    detail: source.code === 'not-found' ? NOT_FOUND_DETAIL : source.detail,
    ...(instance === undefined ? {} : { instance }),
    ...extensions,
  };
}

/** Seconds for `Retry-After`; undefined for a status that carries none. */
export function retryAfterSeconds(source: ProblemSource): number | undefined {
  const { status } = ERRORS[source.code];
  if (status !== 429 && status !== 503 && status !== 507) return undefined;
  return source.context.retryAfterSeconds ?? RETRY_AFTER_SECONDS_DEFAULT;
}

/** The problem in anything thrown: ours by its code, the framework's by its 4xx status, else a bug. */
export function problemSource(error: unknown): ProblemSource {
  if (error instanceof FrechetError) {
    return { code: error.code, detail: error.message, context: error.context };
  }
  // Express gives a path that does not decode the status 400; nothing else in it throws with a 4xx.
  const status = (error as { status?: unknown } | null | undefined)?.status;
  if (status === 400) return { code: 'http-syntax', detail: 'The URL does not decode.', context: {} };
  return { code: 'internal', detail: INTERNAL_DETAIL, context: {} };
}
