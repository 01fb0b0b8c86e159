// What the service says and accepts, as types: the wire of contract version 1. Written for this side alone, so that a
// client needs none of the service's code; a test holds them against the service's own types.

import type { CheckReport } from '../../shared/math/check.ts';
import type { DerivativeDescription } from '../../shared/math/derive.ts';
import type { Dtype } from '../../shared/math/dtype.ts';
import type { Order } from '../../shared/math/view.ts';
import type { ArraySource } from './array.ts';
import type { ProblemDocument } from './problem.ts';

export type { CheckReport, DerivativeDescription, Dtype, Order };

export type Operation = 'value' | 'jvp' | 'vjp' | 'jacobian' | 'check';
export type JobState = 'queued' | 'running' | 'succeeded' | 'failed' | 'cancelled';

/** A count of flops: a decimal string where a number would round it. */
export type FlopsCount = number | string;

export interface ArrayMetadata {
  /** SHA-256 of header and data: equal arrays have equal ids. */
  readonly id: string;
  readonly shape: readonly number[];
  readonly dtype: Dtype;
  readonly order: Order;
  /** Of the data, without a file's header. */
  readonly bytes: number;
  readonly createdAt: string;
  readonly expiresAt: string;
  readonly links: { readonly self: string; readonly data: string };
}

/** What stands for an array in a job: its id, what an upload answered, data, or a shape where no value is needed. */
export type ArrayInput =
  | string
  | Pick<ArrayMetadata, 'id'>
  | { readonly shape: readonly number[] }
  | ArraySource;

export interface JobInput {
  readonly operation: Operation;
  /** `A*W` where absent. */
  readonly expression?: string;
  /** `W` where absent. */
  readonly wrt?: string;
  readonly operands?: Readonly<Record<string, ArrayInput>>;
  /** For jvp and check: of W's shape, or a stack of those. */
  readonly direction?: ArrayInput;
  /** For vjp and check: of F's shape, or a stack of those. */
  readonly cotangent?: ArrayInput;
  /** Half-open; all columns where absent. */
  readonly jacobian?: { readonly columns?: readonly [start: number, stop: number] };
  readonly dtype?: Dtype;
  readonly reproducible?: boolean;
  /** Of the random direction and cotangent of a check. */
  readonly seed?: number;
  /** Rounds of Freivalds' test, 1 to 32; 1 where absent. */
  readonly verification?: { readonly rounds?: number };
  /** `componentwise`: a bound of each element too, for as much arithmetic again. Normwise where absent. */
  readonly errorBound?: 'normwise' | 'componentwise';
  readonly labels?: Readonly<Record<string, string>>;
  /** 0 to 9, higher first. */
  readonly priority?: number;
  /** Seconds the finished job is kept. */
  readonly expiresIn?: number;
}

export interface ResultDescription {
  /** Null for a check, as are dtype and order. */
  readonly shape: readonly number[] | null;
  readonly dtype: Dtype | null;
  readonly order: Order | null;
  /** Of the whole `.npy` body. */
  readonly bytes: number | null;
}

export interface Progress {
  readonly blocksDone: number;
  readonly blocksTotal: number;
  readonly flopsDone: FlopsCount;
  readonly flopsTotal: FlopsCount;
}

export interface Job {
  readonly id: string;
  readonly state: JobState;
  readonly operation: Operation;
  readonly expression: string;
  readonly wrt: string;
  readonly dtype: Dtype;
  readonly derivative: DerivativeDescription;
  /** Null until the job has succeeded. */
  readonly result: (ResultDescription & { readonly digest: string; readonly href: string }) | null;
  readonly progress: Progress;
  readonly verification: {
    readonly method: string;
    readonly rounds: number;
    readonly maxError: number;
    readonly bound: number;
  } | null;
  /** How far rounding may have moved the result: Σ|C − Ĉ| over its elements, and that relative to Σ|Ĉ|. */
  readonly errorBound: {
    readonly norm: string;
    readonly absolute: number;
    readonly relative: number | null;
    /** Where it was asked for: how far any single element may be off, and that relative to the element. */
    readonly componentwise: { readonly absolute: number; readonly relative: number | null } | null;
  } | null;
  readonly kernel: string | null;
  readonly timings: {
    readonly queueSeconds: number;
    readonly loadSeconds: number;
    readonly computeSeconds: number;
    readonly verifySeconds: number;
    readonly storeSeconds: number;
  } | null;
  readonly createdAt: string;
  readonly startedAt: string | null;
  readonly finishedAt: string | null;
  readonly expiresAt: string | null;
  readonly labels: Readonly<Record<string, string>>;
  readonly priority: number;
  /** Why a failed job failed. */
  readonly error: ProblemDocument | null;
  readonly links: Readonly<Record<'self' | 'result' | 'blocks' | 'events' | 'cancel', string>>;
}

/** What a job would be, without running it. */
export interface Plan {
  /** Rows and columns of every name, and of `F`. */
  readonly shapes: Readonly<Record<string, readonly [number, number]>>;
  readonly result: ResultDescription;
  readonly flops: FlopsCount;
  readonly blocks: number;
  readonly peakBytes: number;
  readonly derivative: DerivativeDescription;
}

/** A finished piece of a result. Which of `rows`, `columns`, `members` it has says what kind of piece. */
export interface BlockDescription {
  readonly index: number;
  readonly rows?: readonly [start: number, stop: number];
  readonly columns?: readonly [start: number, stop: number];
  readonly members?: readonly [start: number, stop: number];
  readonly bytes: number;
  readonly sha256: string;
  readonly href: string;
}

export type JobEvent =
  | { readonly event: 'state'; readonly data: Job }
  | { readonly event: 'progress'; readonly data: Progress & { readonly etaSeconds: number | null } }
  | { readonly event: 'block'; readonly data: BlockDescription };

export interface Page<Item> {
  readonly data: readonly Item[];
  readonly nextCursor: string | null;
}

export interface Batch {
  readonly id: string;
  /** Input lines, rejected ones too. */
  readonly total: number;
  readonly counts: Readonly<Record<JobState | 'rejected', number>>;
}

/** What became of an input line of a batch. */
export type BatchLine = {
  readonly customId?: string | null;
  /** Counts from 1. */
  readonly line: number;
} & ({ readonly job: Job } | { readonly error: ProblemDocument });

export interface SystemDescription {
  readonly version: string;
  readonly limits: Readonly<Record<string, number | string>>;
  readonly workers: readonly {
    readonly id: string;
    readonly version: string;
    readonly kernel: string;
    readonly threads: number;
    readonly memoryBytes: number;
    readonly workingSetBytes: number;
  }[];
  readonly queue: unknown;
}

const FINAL: ReadonlySet<JobState> = new Set(['succeeded', 'failed', 'cancelled']);

/** Whether nothing more will happen to the job. */
export function isFinal(job: Pick<Job, 'state'>): boolean {
  return FINAL.has(job.state);
}
