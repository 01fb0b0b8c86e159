// What each route takes, answers and refuses, as data: one entry for every route that a client calls.

import type { ErrorCode } from '../../shared/errors.ts';
import { ARRAY_MEDIA_TYPES } from '../http/representation.ts';
import type { SchemaName } from './schemas.ts';

/** A schema by name, or bytes of a form that JSON Schema cannot say. */
export type Content = Readonly<Record<string, SchemaName | 'binary' | 'text'>>;

export interface Operation {
  readonly summary: string;
  readonly parameters?: readonly Parameter[];
  readonly body?: Content;
  readonly answers: Readonly<Record<number, { readonly description: string; readonly content?: Content }>>;
  /** Besides those that any route can answer. */
  readonly problems?: readonly ErrorCode[];
}

interface Parameter {
  readonly name: string;
  readonly in: 'query' | 'header';
  readonly description: string;
  readonly schema: object;
}

/** What any request can meet. */
export const COMMON_PROBLEMS: readonly ErrorCode[] = [
  'http-syntax',
  'uri-too-long',
  'expectation-failed',
  'method-not-allowed',
  'internal',
];
/** What any request that needs a key can meet besides. */
export const KEYED_PROBLEMS: readonly ErrorCode[] = ['unauthorized', 'too-many-requests', 'unavailable'];

const BODY: readonly ErrorCode[] = [
  'body-too-large',
  'request-timeout',
  'media-type-unsupported',
  'encoding-unsupported',
];
const ARRAY: readonly ErrorCode[] = [
  'json-syntax',
  'schema',
  'array-syntax',
  'array-too-large',
  'npy-bad-magic',
  'npy-version',
  'npy-header-too-large',
  'npy-header-syntax',
  'npy-shape',
  'npy-rank',
  'npy-dtype-unsupported',
  'npy-lossy-cast',
  'npy-size-mismatch',
  'npy-truncated',
  'npy-trailing-data',
];
const JOB: readonly ErrorCode[] = [
  ...ARRAY,
  'multipart-syntax',
  'expression-syntax',
  'expression-too-large',
  'unknown-symbol',
  'operand-missing',
  'operand-unknown',
  'operand-unused',
  'operand-value-needed',
  'operand-corrupt',
  'shape-mismatch',
  'columns-out-of-range',
  'job-too-large',
];
const ROOM: readonly ErrorCode[] = ['store-full', 'system-busy'];
const KEY: readonly ErrorCode[] = ['idempotency-in-progress', 'idempotency-key-reused'];
const DATA: readonly ErrorCode[] = ['not-found', 'not-acceptable', 'range-not-satisfiable'];
const RESULT: readonly ErrorCode[] = [
  ...DATA,
  'job-not-finished',
  'job-failed',
  'job-cancelled',
  'expired',
  'result-corrupt',
];

const NDJSON = 'application/x-ndjson';
const paging: readonly Parameter[] = [
  query('limit', 'how many on a page', { type: 'integer', minimum: 1 }),
  query('cursor', 'nextCursor of the page before', { type: 'string' }),
];
const idempotencyKey = header('Idempotency-Key', 'the same key and body is the same work', {
  type: 'string',
  minLength: 1,
  maxLength: 255,
});
const wait = header('Prefer', 'wait=S: the answer waits up to S seconds for the end', { type: 'string' });
const rangeHeader = header('Range', 'one range of bytes of the .npy form', { type: 'string' });
const submission: Content = { 'application/json': 'JobRequest', 'multipart/form-data': 'binary' };
const [NPY, JSON_TYPE, CSV] = ARRAY_MEDIA_TYPES;
const arrayBody: Content = { [NPY]: 'binary', [JSON_TYPE]: 'ArrayData', [CSV]: 'text' };
const arrayAnswers: Operation['answers'] = {
  200: { description: 'the array', content: arrayBody },
  206: { description: 'a range of it', content: { [NPY]: 'binary' } },
  304: { description: 'the client has it already' },
};

/** Every operation, by method and path of its route. */
export const OPERATION_TABLE: Readonly<Record<string, Operation>> = {
  'POST /v1/arrays': {
    summary: 'Upload an array',
    body: { ...arrayBody, [JSON_TYPE]: 'ArrayUpload' },
    answers: {
      200: json('Array', 'the array was there already'),
      201: json('Array', 'the array is stored'),
    },
    problems: [...BODY, ...ARRAY, ...ROOM],
  },
  'GET /v1/arrays': {
    summary: 'List arrays, newest first',
    parameters: paging,
    answers: { 200: json('ArrayPage', 'a page') },
    problems: ['query-invalid'],
  },
  'GET /v1/arrays/{arrayId}': {
    summary: 'Look up an array',
    answers: { 200: json('Array', 'its metadata') },
    problems: ['not-found', 'operand-corrupt'],
  },
  'DELETE /v1/arrays/{arrayId}': {
    summary: 'Delete an array',
    answers: { 204: { description: 'it is gone' } },
    problems: ['not-found', 'array-in-use', 'operand-corrupt'],
  },
  'GET /v1/arrays/{arrayId}/data': {
    summary: 'Download an array',
    parameters: [rangeHeader],
    answers: arrayAnswers,
    problems: [...DATA, 'operand-corrupt'],
  },
  'POST /v1/jobs': {
    summary: 'Submit a job',
    parameters: [idempotencyKey, wait],
    body: submission,
    answers: {
      200: json('Job', 'the job ended while the answer waited'),
      202: json('Job', 'the job is durable and will end'),
    },
    problems: [...BODY, ...JOB, ...ROOM, ...KEY],
  },
  'GET /v1/jobs': {
    summary: 'List jobs, newest first',
    parameters: [
      query('state', 'only jobs in this state', {
        enum: ['queued', 'running', 'succeeded', 'failed', 'cancelled'],
      }),
      query('label', 'only jobs with this label, as key:value', { type: 'string' }),
      ...paging,
    ],
    answers: { 200: json('JobPage', 'a page') },
    problems: ['query-invalid'],
  },
  'GET /v1/jobs/{jobId}': {
    summary: 'Read a job',
    answers: { 200: json('Job', 'the job') },
    problems: ['not-found'],
  },
  'DELETE /v1/jobs/{jobId}': {
    summary: 'Delete a finished job and its result',
    answers: { 204: { description: 'it is gone' } },
    problems: ['not-found', 'job-not-finished'],
  },
  'POST /v1/jobs/{jobId}/cancel': {
    summary: 'Cancel an unfinished job',
    answers: { 200: json('Job', 'the cancelled job') },
    problems: ['not-found', 'job-finished'],
  },
  'GET /v1/jobs/{jobId}/result': {
    summary: 'Download the result',
    parameters: [rangeHeader],
    answers: arrayAnswers,
    problems: RESULT,
  },
  'GET /v1/jobs/{jobId}/result/blocks': {
    summary: 'List the finished blocks',
    answers: { 200: json('Blocks', 'what is finished') },
    problems: ['not-found', 'expired', 'result-corrupt', 'job-failed', 'job-cancelled', 'job-not-finished'],
  },
  'GET /v1/jobs/{jobId}/result/blocks/{index}': {
    summary: 'Download one finished block',
    parameters: [rangeHeader],
    answers: arrayAnswers,
    problems: RESULT,
  },
  'GET /v1/jobs/{jobId}/events': {
    summary: 'Watch a job until it ends',
    answers: {
      200: { description: 'state, progress and block events', content: { 'text/event-stream': 'text' } },
    },
    problems: ['not-found', 'not-acceptable'],
  },
  'POST /v1/batches': {
    summary: 'Submit many jobs at once',
    parameters: [idempotencyKey],
    body: { [NDJSON]: 'BatchLine' },
    answers: { 202: json('Batch', 'all lines are durable') },
    problems: [...BODY, 'schema', ...ROOM, ...KEY],
  },
  'GET /v1/batches/{batchId}': {
    summary: 'Read a batch',
    answers: { 200: json('Batch', 'how far it is') },
    problems: ['not-found'],
  },
  'GET /v1/batches/{batchId}/jobs': {
    summary: 'Read the jobs of a batch',
    answers: {
      200: { description: 'one document a line, in order', content: { [NDJSON]: 'BatchLineState' } },
    },
    problems: ['not-found', 'not-acceptable'],
  },
  'POST /v1/batches/{batchId}/cancel': {
    summary: 'Cancel what has not ended of a batch',
    answers: { 200: json('Batch', 'the batch') },
    problems: ['not-found'],
  },
  'POST /v1/plan': {
    summary: 'Tell what a job would be, running nothing',
    body: submission,
    answers: { 200: json('Plan', 'shapes, cost and derivative') },
    problems: [...BODY, ...JOB, 'system-busy'],
  },
  'GET /v1/system': {
    summary: 'Version, limits, workers and queue',
    answers: { 200: json('System', 'the system') },
  },
  'GET /livez': {
    summary: 'Is the process alive?',
    answers: { 200: { description: 'yes', content: { 'text/plain': 'text' } } },
  },
  'GET /readyz': {
    summary: 'Can it answer? What it cannot do meanwhile stands in the text',
    answers: { 200: { description: 'yes', content: { 'text/plain': 'text' } } },
    problems: ['unavailable'],
  },
  'GET /openapi.json': {
    summary: 'This description',
    answers: { 200: { description: 'OpenAPI 3.1', content: { 'application/json': 'text' } } },
  },
};

function json(schema: SchemaName, description: string) {
  return { description, content: { 'application/json': schema } };
}

function query(name: string, description: string, schema: object): Parameter {
  return { name, in: 'query', description, schema };
}

function header(name: string, description: string, schema: object): Parameter {
  return { name, in: 'header', description, schema };
}
