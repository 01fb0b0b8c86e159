// What a client submits (JobRequest, validated here) and what is stored of it (JobSpec, versioned, immutable).
// The request may hold array data and part names; the spec holds only shapes and where the values are.

import { z } from 'zod';
import type { Dtype } from '../math/dtype.ts';
import type { Shape } from '../math/shape.ts';
import type { Order } from '../math/view.ts';
import {
  ARRAY_SIDE_MAX,
  EXPIRES_IN_SECONDS_DEFAULT,
  EXPIRES_IN_SECONDS_MAX,
  EXPIRES_IN_SECONDS_MIN,
  LABEL_LENGTH_MAX,
  LABELS_MAX,
  PRIORITY_MAX,
  VERIFICATION_ROUNDS_MAX,
} from './limits.ts';

export const OPERATIONS = ['value', 'jvp', 'vjp', 'jacobian', 'check'] as const;
export type Operation = (typeof OPERATIONS)[number];

/** What is said of the rounding of a result: of all its elements together, or of each of them too. */
const ERROR_BOUNDS = ['normwise', 'componentwise'] as const;

const dtype = z.enum(['float64', 'float32']);
const side = z.int().min(0).max(ARRAY_SIDE_MAX);
const name = z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'a name of letters, digits and underscores');

/** An operand or direction as a client gives it. `data` is parsed later, where its place is known. */
export const arrayReference = z.union(
  [
    z.string().regex(/^[0-9a-f]{64}$/),
    z.strictObject({ data: z.unknown(), dtype: dtype.optional() }).refine(value => 'data' in value),
    z.strictObject({ part: z.string().min(1).max(255) }),
    z.strictObject({ shape: z.array(side).max(2) }),
  ],
  { error: 'an array id (64 lower-case hex digits), { "data" }, { "part" } or { "shape" }' },
);
export type ArrayReference = z.infer<typeof arrayReference>;

const labels = z
  .record(z.string().min(1).max(LABEL_LENGTH_MAX), z.string().max(LABEL_LENGTH_MAX))
  .refine(value => Object.keys(value).length <= LABELS_MAX, { error: `at most ${LABELS_MAX} labels` });

export const jobRequest = z.strictObject({
  operation: z.enum(OPERATIONS),
  expression: z.string().default('A*W'),
  wrt: name.default('W'),
  operands: z.record(name, arrayReference).default({}),
  direction: arrayReference.optional(),
  cotangent: arrayReference.optional(),
  jacobian: z.strictObject({ columns: z.tuple([z.int().min(0), z.int().min(0)]).optional() }).optional(),
  dtype: dtype.default('float64'),
  reproducible: z.boolean().default(false),
  seed: z
    .int()
    .min(0)
    .max(2 ** 32 - 1)
    .default(0),
  verification: z
    .strictObject({ rounds: z.int().min(1).max(VERIFICATION_ROUNDS_MAX).default(1) })
    .default({ rounds: 1 }),
  errorBound: z.enum(ERROR_BOUNDS).default('normwise'),
  labels: labels.default({}),
  priority: z.int().min(0).max(PRIORITY_MAX).default(0),
  expiresIn: z
    .int()
    .min(EXPIRES_IN_SECONDS_MIN)
    .max(EXPIRES_IN_SECONDS_MAX)
    .default(EXPIRES_IN_SECONDS_DEFAULT),
});
export type JobRequest = z.infer<typeof jobRequest>;

/** Where the bytes of a value are: an array of the tenant, or inside the spec itself. */
export type ValueSource =
  | { readonly array: string; readonly dtype: Dtype; readonly order: Order }
  | { readonly inline: string; readonly dtype: Dtype; readonly order: Order };

/** A matrix, or a stack of `members` matrices, and where its value is (absent: only the shape is known or needed). */
export interface MatrixSpec {
  readonly shape: Shape;
  /** Present for a stack: the array has shape members×rows×cols. */
  readonly members?: number;
  /** Absent: unknown and not needed, or (direction and cotangent of a check) drawn from the seed. */
  readonly source?: ValueSource;
}

/** The validated description of a job: everything its result depends on. */
export interface JobSpec {
  readonly version: 1;
  readonly id: string;
  readonly tenant: string;
  readonly operation: Operation;
  readonly expression: string;
  readonly wrt: string;
  readonly operands: Readonly<Record<string, MatrixSpec>>;
  readonly direction?: MatrixSpec;
  readonly cotangent?: MatrixSpec;
  /** Half-open range of the Jacobian's columns. */
  readonly columns?: readonly [start: number, stop: number];
  readonly dtype: Dtype;
  readonly reproducible: boolean;
  readonly seed: number;
  /** Absent in jobs of before there was a choice: one round. */
  readonly verification?: { readonly rounds: number };
  /** Absent in jobs of before there was a choice: normwise. */
  readonly errorBound?: (typeof ERROR_BOUNDS)[number];
  readonly labels: Readonly<Record<string, string>>;
  readonly priority: number;
  readonly expiresIn: number;
  readonly createdAt: string;
  /** A line of a batch that runs and ends as part of its slice (shared/job/small.ts). */
  readonly isSmall?: true;
  /** The limits that block boundaries follow from, recorded so that they never move under a running job. */
  readonly blockLimits: BlockLimits;
}

export interface BlockLimits {
  readonly bytes: number;
  /** A decimal string: flops pass 2^53. */
  readonly flops: string;
  readonly workingSetBytes: number;
}

/** How many rounds of Freivalds' test a job's products must pass. */
export function verificationRounds({ verification }: Pick<JobSpec, 'verification'>): number {
  return verification?.rounds ?? 1;
}
