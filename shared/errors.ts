// The one error class and the one table of codes. The gateway maps a code to an HTTP status, the consumer maps
// its kind to a retry; errors are compared by code, never by instanceof across a thread, a process or Redis.

export type ErrorKind = 'invalid' | 'missing' | 'conflict' | 'numeric' | 'busy' | 'outage';

interface ErrorEntry {
  readonly kind: ErrorKind;
  readonly status: number;
  readonly title: string;
}

/** Every code a client can meet: its kind (what a retry means), HTTP status and title. */
export const ERRORS = {
  'http-syntax': { kind: 'invalid', status: 400, title: 'The request is not valid HTTP' },
  'json-syntax': { kind: 'invalid', status: 400, title: 'The body is not valid JSON' },
  'query-invalid': { kind: 'invalid', status: 400, title: 'A query parameter is not acceptable' },
  'multipart-syntax': { kind: 'invalid', status: 400, title: 'The multipart body is not well formed' },
  unauthorized: { kind: 'invalid', status: 401, title: 'A valid API key is required' },
  'not-found': { kind: 'missing', status: 404, title: 'There is no such resource' },
  'method-not-allowed': { kind: 'invalid', status: 405, title: 'The resource does not support this method' },
  'not-acceptable': { kind: 'invalid', status: 406, title: 'No acceptable representation' },
  'request-timeout': { kind: 'invalid', status: 408, title: 'The request arrived too slowly' },
  'array-in-use': { kind: 'conflict', status: 409, title: 'An unfinished job needs this array' },
  'job-not-finished': { kind: 'conflict', status: 409, title: 'The job has not finished' },
  'job-finished': { kind: 'conflict', status: 409, title: 'The job has already finished' },
  'job-failed': { kind: 'conflict', status: 409, title: 'The job failed, so it has no result' },
  'job-cancelled': { kind: 'conflict', status: 409, title: 'The job was cancelled, so it has no result' },
  'idempotency-in-progress': {
    kind: 'conflict',
    status: 409,
    title: 'The first request with this key is still in progress',
  },
  expired: { kind: 'missing', status: 410, title: 'The result has expired' },
  'body-too-large': { kind: 'invalid', status: 413, title: 'The body is too large' },
  'uri-too-long': { kind: 'invalid', status: 414, title: 'The URL is too long' },
  'media-type-unsupported': { kind: 'invalid', status: 415, title: 'The media type is not supported' },
  'encoding-unsupported': { kind: 'invalid', status: 415, title: 'The content encoding is not supported' },
  'range-not-satisfiable': {
    kind: 'invalid',
    status: 416,
    title: 'The range lies outside the representation',
  },
  'expectation-failed': { kind: 'invalid', status: 417, title: 'The expectation cannot be met' },
  schema: { kind: 'invalid', status: 422, title: 'The document does not have the required form' },
  'array-syntax': { kind: 'invalid', status: 422, title: 'The data do not form an array' },
  'array-too-large': { kind: 'invalid', status: 422, title: 'The array is larger than the limit' },
  'npy-bad-magic': { kind: 'invalid', status: 422, title: 'The body is not a .npy file' },
  'npy-version': { kind: 'invalid', status: 422, title: 'The .npy version is not supported' },
  'npy-header-too-large': { kind: 'invalid', status: 422, title: 'The .npy header is too large' },
  'npy-header-syntax': { kind: 'invalid', status: 422, title: 'The .npy header is malformed' },
  'npy-shape': { kind: 'invalid', status: 422, title: 'The .npy shape is not acceptable' },
  'npy-rank': { kind: 'invalid', status: 422, title: 'The .npy array has too many dimensions' },
  'npy-dtype-unsupported': { kind: 'invalid', status: 422, title: 'The .npy dtype is not supported' },
  'npy-lossy-cast': { kind: 'invalid', status: 422, title: 'A value cannot be represented exactly' },
  'npy-size-mismatch': { kind: 'invalid', status: 422, title: 'Header and Content-Length disagree' },
  'npy-truncated': { kind: 'invalid', status: 422, title: 'The .npy data end too early' },
  'npy-trailing-data': { kind: 'invalid', status: 422, title: 'The .npy data go on past their end' },
  'expression-syntax': { kind: 'invalid', status: 422, title: 'The expression is malformed' },
  'expression-too-large': { kind: 'invalid', status: 422, title: 'The expression is too large' },
  'unknown-symbol': { kind: 'invalid', status: 422, title: 'A name does not occur in the expression' },
  'operand-missing': { kind: 'invalid', status: 422, title: 'An operand is missing' },
  'operand-unknown': {
    kind: 'invalid',
    status: 422,
    title: 'An operand refers to an array that does not exist',
  },
  'operand-unused': { kind: 'invalid', status: 422, title: 'An operand does not occur in the expression' },
  'operand-value-needed': { kind: 'invalid', status: 422, title: 'The value of an operand is needed' },
  'shape-mismatch': { kind: 'invalid', status: 422, title: 'Shapes do not fit together' },
  'columns-out-of-range': {
    kind: 'invalid',
    status: 422,
    title: 'The column range lies outside the Jacobian',
  },
  'job-too-large': { kind: 'invalid', status: 422, title: 'The job is larger than a limit' },
  'idempotency-key-reused': {
    kind: 'invalid',
    status: 422,
    title: 'The idempotency key belongs to another request',
  },
  'value-not-finite': {
    kind: 'numeric',
    status: 422,
    title: 'The computation left the range of finite numbers',
  },
  'verification-failed': {
    kind: 'numeric',
    status: 422,
    title: 'The computed block did not pass verification',
  },
  'block-poisoned': {
    kind: 'numeric',
    status: 422,
    title: 'A block repeatedly ended the process that computed it',
  },
  'operand-lost': {
    kind: 'missing',
    status: 422,
    title: 'An operand disappeared before the job could read it',
  },
  'operand-corrupt': {
    kind: 'numeric',
    status: 422,
    title: 'An operand no longer has the bytes that were uploaded',
  },
  'result-corrupt': {
    kind: 'outage',
    status: 503,
    title: 'A stored block no longer has the bytes that were computed',
  },
  'too-many-requests': { kind: 'busy', status: 429, title: 'The limit of this tenant is reached' },
  'system-busy': { kind: 'busy', status: 503, title: 'The system is at its limit' },
  unavailable: { kind: 'outage', status: 503, title: 'A part of the system is unavailable' },
  'store-full': { kind: 'busy', status: 507, title: 'The store is full' },
  internal: { kind: 'outage', status: 500, title: 'A fault inside Frechet' },
} as const satisfies Record<string, ErrorEntry>;

export type ErrorCode = keyof typeof ERRORS;

/** One fault within a document: a JSON pointer to the place, a machine-readable code, a sentence. */
export interface Fault {
  readonly pointer: string;
  readonly code: string;
  readonly detail: string;
}

/** What a code alone does not say. `limit` and `requested` are in the unit that `detail` names. */
export interface ErrorContext {
  readonly errors?: readonly Fault[];
  readonly limit?: number | string;
  readonly requested?: number | string;
  /** Position in an expression, from 1. */
  readonly column?: number;
  readonly retryAfterSeconds?: number;
}

/**
 * The one error of Frechet. `detail` is a sentence for the client: it names what to do, never a path or a stack.
 */
export class FrechetError extends Error {
  override readonly name = 'FrechetError';
  readonly code: ErrorCode;
  readonly context: ErrorContext;

  constructor(code: ErrorCode, detail: string, context: ErrorContext = {}, options?: ErrorOptions) {
    super(detail, options);
    this.code = code;
    this.context = context;
  }

  /** What a retry means. */
  get kind(): ErrorKind {
    return ERRORS[this.code].kind;
  }
}

/** The code of anything thrown; undefined where it is not one of ours. Works across threads and processes. */
export function errorCode(error: unknown): ErrorCode | undefined {
  const code = (error as { code?: unknown } | null | undefined)?.code;
  return typeof code === 'string' && Object.hasOwn(ERRORS, code) ? (code as ErrorCode) : undefined;
}
