// What workers leave in the store: a receipt with every block, one outcome for every job.

import type { ErrorCode, ErrorContext } from '../errors.ts';

/** A half-open range. */
export type Range = readonly [start: number, stop: number];

/** Which piece of the result a block is. A matrix has rows, a Jacobian columns, a stack members (of a huge member: its rows). */
export interface BlockRange {
  readonly members?: Range;
  readonly rows?: Range;
  readonly columns?: Range;
}

/** Seconds spent in each phase of a block. */
export interface PhaseSeconds {
  readonly load: number;
  readonly compute: number;
  readonly verify: number;
  readonly store: number;
}

/** What Freivalds' test found: the largest ratio of a residual to its bound would be maxError / bound. */
export interface Verification {
  readonly method: 'freivalds';
  readonly rounds: number;
  /** Of each tested step, in order; drawn when it had been computed. */
  readonly seeds: readonly number[];
  /** Largest relative residual over all rows and rounds, relative to |A||B|. */
  readonly maxError: number;
  /** The bound from rounding analysis in the same unit. */
  readonly bound: number;
}

/** In the norm Σ|cᵢⱼ|, in which blocks add up: how far the elements may be from exact ones, and what they come to. */
export interface ErrorBound {
  readonly absolute: number;
  /** Σ|Ĉ| of what was computed; 0 where `absolute` is. */
  readonly size: number;
  /** Where it was asked for, and is finite. */
  readonly componentwise?: ComponentwiseBound;
}

/** How far any single element may be from the exact one, barring underflow. */
export interface ComponentwiseBound {
  readonly absolute: number;
  /** Relative to what was computed of it; null where an element may as well be zero. */
  readonly relative: number | null;
}

/** Stored with the data of a block, in one object. */
export interface BlockReceipt extends BlockRange {
  readonly index: number;
  readonly bytes: number;
  readonly sha256: string;
  /** SHA-256 of every RESULT_CHUNK_BYTES of the data, hex. */
  readonly chunks: readonly string[];
  readonly verification: Verification;
  /** Null where nothing finite can be said, and for a check. */
  readonly errorBound: ErrorBound | null;
  readonly kernel: string;
  readonly seconds: PhaseSeconds;
  /** A decimal string. */
  readonly flops: string;
  readonly startedAt: string;
  readonly finishedAt: string;
}

export interface JobProblem {
  readonly code: ErrorCode;
  readonly detail: string;
  readonly context: ErrorContext;
}

interface OutcomeTimes {
  readonly version: 1;
  /** Absent where the job ended before any block began. */
  readonly startedAt?: string;
  readonly finishedAt: string;
  readonly expiresAt: string;
}

/** What is true of a result as a whole; its blocks are receipts without verification and timing. */
export interface Manifest {
  readonly bytes: number;
  /** SHA-256 over the blocks' SHA-256 digests, in order; hex. */
  readonly digest: string;
  readonly blocks: readonly ManifestBlock[];
}

export interface ManifestBlock extends BlockRange {
  readonly bytes: number;
  readonly sha256: string;
}

export type Outcome =
  | (OutcomeTimes & {
      readonly state: 'succeeded';
      readonly manifest: Manifest;
      readonly verification: Verification;
      readonly errorBound: ErrorBound | null;
      readonly kernel: string;
      readonly seconds: PhaseSeconds & { readonly queue: number };
    })
  | (OutcomeTimes & { readonly state: 'failed'; readonly problem: JobProblem })
  | (OutcomeTimes & { readonly state: 'cancelled' });

export type FinalState = Outcome['state'];
export type JobState = 'queued' | 'running' | FinalState;
