// The job as a client reads it (contract §4), from what is known of it. Pure.

import type { JobProgress } from '../../shared/io/live.ts';
import { encodeNpyHeader } from '../../shared/io/npy.ts';
import type { JobPlan, PlannedResult } from '../../shared/job/job-plan.ts';
import type {
  ComponentwiseBound,
  ErrorBound,
  JobState,
  Manifest,
  Outcome,
  Verification,
} from '../../shared/job/outcome.ts';
import type { JobSpec, Operation } from '../../shared/job/spec.ts';
import { deriveState } from '../../shared/job/state.ts';
import { type ProblemDocument, problemDocument } from '../http/problem.ts';
import type { KnownJob } from './known-job.ts';

/** A count of flops: a decimal string where a float64 would round it. */
export type FlopsCount = number | string;

export interface JobDocument {
  readonly id: string;
  readonly state: JobState;
  readonly operation: Operation;
  readonly expression: string;
  readonly wrt: string;
  readonly dtype: JobSpec['dtype'];
  readonly derivative: JobPlan['derivative'];
  readonly result: ResultDocument | null;
  readonly progress: ProgressDocument;
  readonly verification: Omit<Verification, 'seeds'> | null;
  readonly errorBound: ErrorBoundDocument | null;
  readonly kernel: string | null;
  readonly timings: TimingsDocument | null;
  readonly createdAt: string;
  readonly startedAt: string | null;
  readonly finishedAt: string | null;
  readonly expiresAt: string | null;
  readonly labels: JobSpec['labels'];
  readonly priority: number;
  readonly error: ProblemDocument | null;
  readonly links: Readonly<Record<'self' | 'result' | 'blocks' | 'events' | 'cancel', string>>;
}

export interface ResultShape extends Pick<PlannedResult, 'shape' | 'dtype' | 'order'> {
  /** Of the whole `.npy` body; null for a check that has not ended. */
  readonly bytes: number | null;
}

interface ResultDocument extends ResultShape {
  readonly digest: string;
  readonly href: string;
}

export interface ProgressDocument {
  readonly blocksDone: number;
  readonly blocksTotal: number;
  readonly flopsDone: FlopsCount;
  readonly flopsTotal: FlopsCount;
}

/** Σ|C − Ĉ| over the elements of the result is at most `absolute`; relative to Σ|Ĉ|. */
interface ErrorBoundDocument {
  readonly norm: 'sum';
  readonly absolute: number;
  /** Null where every computed element is 0 and need not be. */
  readonly relative: number | null;
  /** Null where it was not asked for, or nothing finite can be said. */
  readonly componentwise: ComponentwiseBound | null;
}

interface TimingsDocument {
  readonly queueSeconds: number;
  readonly loadSeconds: number;
  readonly computeSeconds: number;
  readonly verifySeconds: number;
  readonly storeSeconds: number;
}

/** What changes while a job lives. */
export interface JobFacts {
  readonly outcome: Outcome | undefined;
  readonly progress: JobProgress | undefined;
  /** Blocks found in the store; of a job that succeeded it says nothing. */
  readonly blocksDone: number;
}

export function jobDocument({ spec, plan }: KnownJob, facts: JobFacts): JobDocument {
  const { outcome } = facts;
  const succeeded = outcome?.state === 'succeeded' ? outcome : undefined;
  const links = jobLinks(spec.id);
  return {
    id: spec.id,
    state: deriveState(outcome, facts.progress),
    operation: spec.operation,
    expression: spec.expression,
    wrt: spec.wrt,
    dtype: spec.dtype,
    derivative: plan.derivative,
    result: succeeded === undefined ? null : resultDocument(plan, succeeded.manifest, links.result),
    progress: progressDocument(plan, facts),
    verification: succeeded === undefined ? null : verificationDocument(succeeded.verification),
    errorBound: errorBoundDocument(succeeded?.errorBound),
    kernel: succeeded?.kernel ?? null,
    timings: succeeded === undefined ? null : timingsDocument(succeeded.seconds),
    createdAt: spec.createdAt,
    startedAt: outcome?.startedAt ?? facts.progress?.startedAt ?? null,
    finishedAt: outcome?.finishedAt ?? null,
    expiresAt: outcome?.expiresAt ?? null,
    labels: spec.labels,
    priority: spec.priority,
    error: outcome?.state === 'failed' ? problemDocument(outcome.problem) : null,
    links,
  };
}

export function jobHref(jobId: string): string {
  return `/v1/jobs/${jobId}`;
}

export function flopsCount(flops: bigint): FlopsCount {
  return flops <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(flops) : String(flops);
}

/** Flops done, exact at the end; before it what the work-list says or the finished blocks' share, whichever is more. */
export function flopsDone(plan: JobPlan, facts: JobFacts): bigint {
  if (facts.outcome?.state === 'succeeded') return plan.flops;
  const share = (plan.flops * BigInt(facts.blocksDone)) / BigInt(Math.max(1, plan.blocksTotal));
  const live = facts.progress?.flopsDone ?? 0n;
  const most = live > share ? live : share;
  return most < plan.flops ? most : plan.flops;
}

function progressDocument(plan: JobPlan, facts: JobFacts): ProgressDocument {
  return {
    blocksDone: facts.outcome?.state === 'succeeded' ? plan.blocksTotal : facts.blocksDone,
    blocksTotal: plan.blocksTotal,
    flopsDone: flopsCount(flopsDone(plan, facts)),
    flopsTotal: flopsCount(plan.flops),
  };
}

/** What is known of a result before there is one. */
export function resultShapeDocument({ shape, dtype, order, dataBytes }: PlannedResult): ResultShape {
  if (shape === null || dtype === null || order === null || dataBytes === null) {
    return { shape, dtype, order, bytes: null };
  }
  return { shape, dtype, order, bytes: encodeNpyHeader({ shape, dtype, order }).byteLength + dataBytes };
}

function resultDocument(plan: JobPlan, manifest: Manifest, href: string): ResultDocument {
  const { shape, dtype, order, bytes } = resultShapeDocument(plan.result);
  // The JSON of a check is its blocks' data.
  const dataBytes = manifest.blocks.reduce((sum, block) => sum + block.bytes, 0);
  return { shape, dtype, order, bytes: bytes ?? dataBytes, digest: manifest.digest, href };
}

function verificationDocument({
  method,
  rounds,
  maxError,
  bound,
}: Verification): JobDocument['verification'] {
  return { method, rounds, maxError, bound };
}

/** @param bound undefined in outcomes of before it was recorded */
function errorBoundDocument(bound: ErrorBound | null | undefined): ErrorBoundDocument | null {
  if (bound === null || bound === undefined) return null;
  const { absolute, size, componentwise = null } = bound;
  const relative = absolute === 0 ? 0 : absolute / size;
  return { norm: 'sum', absolute, relative: Number.isFinite(relative) ? relative : null, componentwise };
}

function timingsDocument(seconds: Extract<Outcome, { state: 'succeeded' }>['seconds']): TimingsDocument {
  return {
    queueSeconds: seconds.queue,
    loadSeconds: seconds.load,
    computeSeconds: seconds.compute,
    verifySeconds: seconds.verify,
    storeSeconds: seconds.store,
  };
}

function jobLinks(jobId: string): JobDocument['links'] {
  const self = jobHref(jobId);
  return {
    self,
    result: `${self}/result`,
    blocks: `${self}/result/blocks`,
    events: `${self}/events`,
    cancel: `${self}/cancel`,
  };
}
