// Lists of the HTTP contract that the code must agree with, as data.

import type { ErrorCode } from '../../shared/errors.ts';

/** Problem slugs that the contract names, with the status it gives them. */
export const SLUGS = {
  schema: 422,
  'npy-lossy-cast': 422,
  'npy-dtype-unsupported': 422,
  'npy-bad-magic': 422,
  'npy-version': 422,
  'npy-header-too-large': 422,
  'npy-header-syntax': 422,
  'npy-shape': 422,
  'npy-rank': 422,
  'npy-size-mismatch': 422,
  'npy-truncated': 422,
  'npy-trailing-data': 422,
  'array-in-use': 409,
  'operand-value-needed': 422,
  'columns-out-of-range': 422,
  'idempotency-key-reused': 422,
  'idempotency-in-progress': 409,
  'expression-syntax': 422,
  'expression-too-large': 422,
  'unknown-symbol': 422,
  'operand-missing': 422,
  'operand-unknown': 422,
  'operand-unused': 422,
  'shape-mismatch': 422,
  'job-too-large': 422,
  'job-finished': 409,
  'job-not-finished': 409,
  'job-failed': 409,
  'job-cancelled': 409,
} as const satisfies Partial<Record<ErrorCode, number>>;

/** Every status the contract lists for problems, and 500 for a bug. */
export const STATUSES = [
  400, 401, 404, 405, 406, 408, 409, 410, 413, 414, 415, 416, 417, 422, 429, 500, 503, 507,
];

/** Codes of the contract that nothing can meet yet; one that is used must leave this list. */
export const AWAITED: readonly ErrorCode[] = [];

/** Type and labels of every metric. */
export const METRICS: Readonly<Record<string, readonly [type: string, ...labels: string[]]>> = {
  frechet_jobs_submitted_total: ['counter', 'operation'],
  frechet_jobs_finished_total: ['counter', 'operation', 'outcome'],
  frechet_jobs: ['gauge', 'state'],
  frechet_backlog_flops: ['gauge'],
  frechet_job_queue_seconds: ['histogram', 'operation'],
  frechet_job_duration_seconds: ['histogram', 'operation'],
  frechet_blocks_finished_total: ['counter', 'outcome'],
  frechet_block_phase_seconds: ['histogram', 'phase'],
  frechet_flops_total: ['counter', 'kernel', 'dtype'],
  frechet_threads: ['gauge', 'state'],
  frechet_memory_bytes: ['gauge', 'kind'],
  frechet_array_cache_requests_total: ['counter', 'result'],
  frechet_store_bytes_total: ['counter', 'direction'],
  frechet_verification_failures_total: ['counter'],
  frechet_stalled_blocks_total: ['counter'],
  frechet_http_request_duration_seconds: ['histogram', 'method', 'route', 'status'],
  frechet_build_info: ['gauge', 'version', 'kernel'],
};

/** Every environment variable and its default, as the contract writes it; undefined where the machine decides. */
export const VARIABLES: Readonly<Record<string, string | undefined>> = {
  FRECHET_HOST: '127.0.0.1',
  FRECHET_PORT: '8080',
  FRECHET_ADMIN_PORT: '8090',
  FRECHET_REDIS_URL: undefined,
  FRECHET_DATA_DIR: './data',
  FRECHET_STORE: 'file:$FRECHET_DATA_DIR/store',
  FRECHET_DRAIN_SECONDS: '25',
  FRECHET_THREADS: undefined,
  FRECHET_MEMORY_BYTES: undefined,
  FRECHET_KERNEL: 'auto',
  FRECHET_API_KEYS_FILE: undefined,
  FRECHET_ALLOW_ANONYMOUS: 'false',
  FRECHET_LOG_LEVEL: 'info',
};
