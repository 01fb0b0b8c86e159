// A batch as a client reads it: how far it is, and its jobs line by line (contract §7).

import { FrechetError } from '../../shared/errors.ts';
import { batchIdOf, lineIndexOf } from '../../shared/io/batch-ids.ts';
import { countStates, type LineState, settleBatch } from '../../shared/io/batch-progress.ts';
import {
  type BatchFooter,
  type BatchOutcome,
  type BatchRecord,
  isRejected,
  specOfLine,
} from '../../shared/io/batch-store.ts';
import { planJob } from '../../shared/job/job-plan.ts';
import type { JobState } from '../../shared/job/outcome.ts';
import type { GatewayDeps } from '../deps.ts';
import { type ProblemDocument, problemDocument } from '../http/problem.ts';
import { type JobDocument, jobDocument } from '../jobs/job-document.ts';
import { readFacts } from '../jobs/read.ts';

export type BatchDeps = Pick<GatewayDeps, 'batchProgress' | 'clock' | 'jobs' | 'live' | 'log'>;

export interface BatchDocument {
  readonly id: string;
  /** Lines, rejected ones too. */
  readonly total: number;
  readonly counts: Readonly<Record<JobState | 'rejected', number>>;
  readonly createdAt: string;
  /** Null until every job has ended. */
  readonly finishedAt: string | null;
  readonly links: Readonly<Record<'self' | 'jobs' | 'cancel', string>>;
}

export interface LineDocument {
  readonly customId: string | null;
  readonly line: number;
  readonly job?: JobDocument;
  readonly error?: ProblemDocument;
}

/** Jobs read side by side: they are different objects, and reading is waiting. */
const JOBS_AT_ONCE = 16;

export function batchHref(id: string): string {
  return `/v1/batches/${id}`;
}

/** @throws not-found */
export async function findBatch(
  { jobs }: Pick<BatchDeps, 'jobs'>,
  tenant: string,
  id: string,
): Promise<BatchFooter> {
  const footer = isBatchId(id) ? await jobs.batches.footer(tenant, id) : undefined;
  // Jobs that only happened to come together are nobody's batch.
  if (footer === undefined || footer.isGroup) throw notFound();
  return footer;
}

/** A path segment that is no id is no key of the store either. */
export function isBatchId(text: string): boolean {
  return /^[0-7][0-9A-HJKMNP-TV-Z]{21}0000$/.test(text);
}

function notFound(): FrechetError {
  return new FrechetError('not-found', 'there is no such batch');
}

/** @throws not-found */
export async function readBatch(deps: BatchDeps, tenant: string, id: string): Promise<BatchDocument> {
  return describeBatch(deps, await findBatch(deps, tenant, id));
}

export async function describeBatch(deps: BatchDeps, footer: BatchFooter): Promise<BatchDocument> {
  const { id, total, createdAt } = footer;
  const self = batchHref(id);
  const { counts, finishedAt } = await progressOf(deps, footer);
  return {
    id,
    total,
    counts,
    createdAt,
    finishedAt,
    links: { self, jobs: `${self}/jobs`, cancel: `${self}/cancel` },
  };
}

function finalCounts({ counts }: BatchOutcome): BatchDocument['counts'] {
  const { succeeded, failed, cancelled, rejected } = counts;
  return { queued: 0, running: 0, succeeded, failed, cancelled, rejected };
}

async function progressOf(
  deps: BatchDeps,
  { tenant, id }: BatchFooter,
): Promise<Pick<BatchDocument, 'counts' | 'finishedAt'>> {
  const stored = await deps.jobs.batches.readOutcome(tenant, id);
  const states = stored === undefined ? await lineStates(deps, tenant, id) : [];
  const outcome = stored ?? (await settleBatch(deps, tenant, id, states));
  if (outcome !== undefined) return { counts: finalCounts(outcome), finishedAt: outcome.finishedAt };
  const { unfinished, ...final } = countStates(states);
  const running = await runningLines(deps, id, states);
  return { counts: { queued: unfinished - running.size, running: running.size, ...final }, finishedAt: null };
}

async function lineStates(
  { batchProgress }: BatchDeps,
  tenant: string,
  id: string,
): Promise<readonly LineState[]> {
  const states = await batchProgress.look(tenant, id);
  if (states === undefined) throw notFound();
  return states;
}

/**
 * The unfinished lines, from 1, of whose jobs a block has begun. Few run of however many wait, so it is those that are
 * gone through. Without Redis a job that runs looks queued.
 */
async function runningLines(
  { live, log }: BatchDeps,
  id: string,
  states: readonly LineState[],
): Promise<ReadonlySet<number>> {
  const all = await live.runningJobs().catch((error: unknown) => {
    log.debug({ err: error }, 'running jobs are not known');
    return [];
  });
  const lines = all.filter(jobId => batchIdOf(jobId) === id).map(lineIndexOf);
  return new Set(lines.filter(line => line > 0 && line <= states.length && states[line - 1] === undefined));
}

/** One document a line, in the order of the lines. @throws not-found, before the first */
export async function* batchLines(deps: BatchDeps, tenant: string, id: string): AsyncGenerator<LineDocument> {
  const batch = isBatchId(id) ? await deps.jobs.batches.open(tenant, id) : undefined;
  if (batch === undefined) throw notFound();
  try {
    if (batch.footer.isGroup) throw notFound();
    const states = await lineStates(deps, tenant, id);
    const running = await runningLines(deps, id, states);
    const read = (index: number, record: BatchRecord) =>
      readLine(deps, batch.footer, index, record, {
        isUntouched: states[index - 1] === undefined && !running.has(index),
      });
    let index = 0;
    let group: Promise<() => LineDocument>[] = [];
    for await (const record of batch.records()) {
      index += 1;
      group.push(read(index, record));
      if (group.length < JOBS_AT_ONCE) continue;
      for (const line of await Promise.all(group)) yield line();
      group = [];
    }
    for (const line of await Promise.all(group)) yield line();
  } finally {
    await batch.close();
  }
}

/** What is known of a line. Its document is made when it is its turn to be sent: a plan may take a tenth of a second. */
async function readLine(
  deps: BatchDeps,
  footer: BatchFooter,
  index: number,
  record: BatchRecord,
  { isUntouched }: { readonly isUntouched: boolean },
): Promise<() => LineDocument> {
  const { line, customId } = record;
  if (isRejected(record)) return () => ({ customId, line, error: problemDocument(record.problem) });
  const spec = specOfLine(footer, index, record.spec);
  if (!isUntouched && (await deps.jobs.readSpec(spec.tenant, spec.id)) === undefined) {
    return () => ({ customId, line, error: problemDocument({ code: 'not-found', detail: '', context: {} }) });
  }
  const facts = isUntouched
    ? { outcome: undefined, progress: undefined, blocksDone: 0 }
    : await readFacts(deps, spec);
  return () => ({ customId, line, job: jobDocument({ spec, plan: planJob(spec) }, facts) });
}
