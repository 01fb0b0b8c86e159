// Everything that can go wrong, as two errors: the service said no (FrechetProblem), or it could not be heard
// (ConnectionError). A breach of the caller's own signal stays what it is, the reason the signal was given.

import { ERRORS, type ErrorCode, type Fault } from '../../shared/errors.ts';

/** RFC 9457, as the service sends it. */
export interface ProblemDocument {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  /** The request id, for those who read the service's log. */
  readonly instance?: string;
  readonly errors?: readonly Fault[];
  readonly limit?: number | string;
  readonly requested?: number | string;
  /** Position in an expression, from 1. */
  readonly column?: number;
}

const TYPE_PREFIX = 'urn:frechet:problem:';

/** What the service refused, or how a job failed. Decide by `slug`; the message is for people. */
export class FrechetProblem extends Error {
  override readonly name = 'FrechetProblem';
  /** One of the service's problems; of an answer that is none of its own, `http-` and the status. */
  readonly slug: ErrorCode | (string & {});
  readonly status: number;
  readonly title: string;
  readonly detail: string;
  /** Where in the document, and what; often empty. */
  readonly errors: readonly Fault[];
  readonly limit: number | string | undefined;
  readonly requested: number | string | undefined;
  readonly column: number | undefined;
  readonly requestId: string | undefined;
  /** What the service asked to wait before another attempt. */
  readonly retryAfterSeconds: number | undefined;

  constructor(document: ProblemDocument, retryAfterSeconds?: number) {
    super(document.detail || document.title);
    this.slug = document.type.startsWith(TYPE_PREFIX)
      ? document.type.slice(TYPE_PREFIX.length)
      : `http-${document.status}`;
    this.status = document.status;
    this.title = document.title;
    this.detail = document.detail;
    this.errors = document.errors ?? [];
    this.limit = document.limit;
    this.requested = document.requested;
    this.column = document.column;
    this.requestId = document.instance;
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

/** The service was not reached, or an answer broke off or made no sense. */
export class ConnectionError extends Error {
  override readonly name = 'ConnectionError';
}

/** What the service would say, said before asking it. */
export function localProblem(code: ErrorCode, detail: string): FrechetProblem {
  const { status, title } = ERRORS[code];
  return new FrechetProblem({ type: `${TYPE_PREFIX}${code}`, title, status, detail });
}

/** The problem in an answer that is not ok. A proxy's page becomes one, too. */
export function problemIn(response: Response, text: string): FrechetProblem {
  const retryAfterSeconds = parseRetryAfter(response.headers.get('Retry-After'), Date.now());
  const document = parseProblem(text);
  if (document !== undefined) return new FrechetProblem(document, retryAfterSeconds);
  const { status, statusText } = response;
  const title = statusText || `HTTP status ${status}`;
  const detail = `${new URL(response.url || 'http://service').host} answered ${status} ${statusText}`.trim();
  return new FrechetProblem({ type: 'about:blank', title, status, detail }, retryAfterSeconds);
}

function parseProblem(text: string): ProblemDocument | undefined {
  try {
    const value = JSON.parse(text) as Partial<ProblemDocument> | null;
    const isProblem = typeof value?.type === 'string' && typeof value.status === 'number';
    return isProblem ? (value as ProblemDocument) : undefined; // RFC 9457 asks for no more
  } catch {
    return undefined;
  }
}

/** Seconds from now, of either form that HTTP knows: a count, or a date. */
export function parseRetryAfter(header: string | null, now: number): number | undefined {
  if (header === null) return undefined;
  if (/^\d+$/.test(header.trim())) return Number(header);
  const date = Date.parse(header);
  return Number.isNaN(date) ? undefined : Math.max(0, (date - now) / 1000);
}
