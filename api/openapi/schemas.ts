// The documents that cross the wire, as schemas. What clients send is validated by these very schemas; what we answer
// is held to them by a test over real exchanges.

import { z } from 'zod';
import { ERRORS } from '../../shared/errors.ts';
import { BATCH_LINE_BYTES_MAX, CUSTOM_ID_LENGTH_MAX } from '../../shared/job/limits.ts';
import { jobRequest, OPERATIONS } from '../../shared/job/spec.ts';

const time = z.iso.datetime();
const size = z.int().min(0);
const shape = z.array(size);
const digest = z.string().regex(/^[0-9a-f]{64}$/);
const ulid = z.string().regex(/^[0-7][0-9A-HJKMNP-TV-Z]{25}$/);
const dtype = z.enum(['float64', 'float32']);
const order = z.enum(['C', 'F']);
/** Exact: a decimal string where a number would be rounded. */
const flops = z.union([size, z.string().regex(/^\d+$/)]);
const range = z.tuple([size, size]);
const cursor = z.string().nullable();
const state = z.enum(['queued', 'running', 'succeeded', 'failed', 'cancelled']);
const count = z.number().min(0);

const problem = z.strictObject({
  type: z.enum(Object.keys(ERRORS).map(code => `urn:frechet:problem:${code}`)),
  title: z.string(),
  status: z.int(),
  detail: z.string(),
  instance: z.string().optional(),
  errors: z.array(z.strictObject({ pointer: z.string(), code: z.string(), detail: z.string() })).optional(),
  limit: z.union([z.number(), z.string()]).optional(),
  requested: z.union([z.number(), z.string()]).optional(),
  column: z.int().optional(),
});

const array = z.strictObject({
  id: digest,
  shape,
  dtype,
  order,
  bytes: size,
  createdAt: time,
  expiresAt: time,
  links: z.strictObject({ self: z.string(), data: z.string() }),
});

const derivative = z.strictObject({
  linear: z.boolean(),
  differential: z.string().nullable(),
  adjoint: z.string().nullable(),
  jacobian: z.string().nullable(),
  latex: z.string(),
});

const result = {
  shape: shape.nullable(),
  dtype: dtype.nullable(),
  order: order.nullable(),
  bytes: size.nullable(),
};

const job = z.strictObject({
  id: ulid,
  state,
  operation: z.enum(OPERATIONS),
  expression: z.string(),
  wrt: z.string(),
  dtype,
  derivative,
  result: z.strictObject({ ...result, bytes: size, digest, href: z.string() }).nullable(),
  progress: z.strictObject({ blocksDone: size, blocksTotal: size, flopsDone: flops, flopsTotal: flops }),
  verification: z
    .strictObject({ method: z.literal('freivalds'), rounds: size, maxError: count, bound: count })
    .nullable(),
  errorBound: z
    .strictObject({
      norm: z.literal('sum'),
      absolute: count,
      relative: count.nullable(),
      componentwise: z.strictObject({ absolute: count, relative: count.nullable() }).nullable(),
    })
    .nullable(),
  kernel: z.string().nullable(),
  timings: z
    .strictObject({
      queueSeconds: count,
      loadSeconds: count,
      computeSeconds: count,
      verifySeconds: count,
      storeSeconds: count,
    })
    .nullable(),
  createdAt: time,
  startedAt: time.nullable(),
  finishedAt: time.nullable(),
  expiresAt: time.nullable(),
  labels: z.record(z.string(), z.string()),
  priority: z.int(),
  error: problem.nullable(),
  links: z.strictObject({
    self: z.string(),
    result: z.string(),
    blocks: z.string(),
    events: z.string(),
    cancel: z.string(),
  }),
});

const batch = z.strictObject({
  id: ulid,
  total: size,
  counts: z.strictObject({
    queued: size,
    running: size,
    succeeded: size,
    failed: size,
    cancelled: size,
    rejected: size,
  }),
  createdAt: time,
  finishedAt: time.nullable(),
  links: z.strictObject({ self: z.string(), jobs: z.string(), cancel: z.string() }),
});

const block = z.strictObject({
  index: size,
  members: range.optional(),
  rows: range.optional(),
  columns: range.optional(),
  bytes: size,
  sha256: digest,
  href: z.string(),
});

const worker = z.strictObject({
  id: z.string(),
  version: z.string(),
  kernel: z.string(),
  threads: size,
  memoryBytes: size,
  workingSetBytes: size,
  startedAt: time,
  seenAt: time,
});

/** Nested lists of numbers; NaN and infinities as text. */
const arrayData = z.unknown().describe('nested lists of numbers, with "NaN", "Infinity" and "-Infinity"');

/** Every schema by the name it has in the API's description. */
export const SCHEMAS = {
  Problem: problem,
  ArrayData: arrayData,
  ArrayUpload: z.union([arrayData, z.strictObject({ data: arrayData, dtype: dtype.optional() })]),
  Array: array,
  ArrayPage: z.strictObject({ data: z.array(array), nextCursor: cursor }),
  JobRequest: jobRequest,
  Job: job,
  JobPage: z.strictObject({ data: z.array(job), nextCursor: cursor }),
  Plan: z.strictObject({
    shapes: z.record(z.string(), range),
    result: z.strictObject(result),
    flops,
    blocks: size,
    peakBytes: size,
    derivative,
  }),
  Blocks: z.array(block),
  BatchLine: jobRequest
    .extend({ customId: z.string().max(CUSTOM_ID_LENGTH_MAX).nullish() })
    .describe(`one of these a line, each of at most ${BATCH_LINE_BYTES_MAX} bytes`),
  Batch: batch,
  BatchLineState: z.strictObject({
    customId: z.string().nullable(),
    line: z.int().min(1),
    job: job.optional(),
    error: problem.optional(),
  }),
  System: z.strictObject({
    version: z.string(),
    limits: z.record(z.string(), z.union([z.number(), z.string()])),
    workers: z.array(worker),
    queue: z.strictObject({ queued: size, running: size, backlogFlops: count }),
  }),
} as const;

export type SchemaName = keyof typeof SCHEMAS;

/** The schemas as JSON Schema 2020-12, which OpenAPI 3.1 speaks; they refer to each other by name. */
export function componentSchemas(): Record<string, object> {
  const registry = z.registry<{ id: string }>();
  for (const [id, schema] of Object.entries(SCHEMAS)) registry.add(schema, { id });
  const { schemas } = z.toJSONSchema(registry, {
    io: 'input',
    unrepresentable: 'any',
    uri: id => `#/components/schemas/${id}`,
  });
  return Object.fromEntries(
    Object.entries(schemas).map(([id, { $schema: _, $id: __, ...schema }]) => [id, schema]),
  );
}
