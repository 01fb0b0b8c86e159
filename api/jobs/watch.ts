// A job as a sequence of events, for as long as it is not final. Every round looks at the whole job and tells what is
// different from the round before: lost hints and slow readers cost detail in between, never the end.

import { setTimeout as sleep } from 'node:timers/promises';
import type { GatewayDeps } from '../deps.ts';
import { type BlockDocument, blockDocument } from './block-document.ts';
import { Doorbell } from './doorbell.ts';
import { flopsDone, type JobDocument, jobDocument, type ProgressDocument } from './job-document.ts';
import { LOOK_AGAIN_MS } from './job-events.ts';
import type { KnownJob } from './known-job.ts';
import { readFacts } from './read.ts';

/** However often a worker reports, a watcher looks at most this often. */
const LOOK_APART_MS = 100;

interface WatchedProgress extends ProgressDocument {
  /** By the average rate so far; null before there is one. */
  readonly etaSeconds: number | null;
}

export type WatchEvent =
  | { readonly event: 'state'; readonly data: JobDocument }
  | { readonly event: 'progress'; readonly data: WatchedProgress }
  | { readonly event: 'block'; readonly data: BlockDocument };

type WatchDeps = Pick<GatewayDeps, 'jobs' | 'live' | 'log' | 'events' | 'clock'>;

interface Look {
  readonly document: JobDocument;
  readonly progress: WatchedProgress;
  readonly isOver: boolean;
}

/**
 * First the state, then changes of state, every finished block once (those finished before, too), and progress; the
 * final state is the last event. Ends without it when the signal aborts.
 */
export async function* watchJob(
  deps: WatchDeps,
  job: KnownJob,
  signal: AbortSignal,
): AsyncGenerator<WatchEvent> {
  const doorbell = new Doorbell();
  const unwatch = deps.events.watch(job.spec.id, doorbell);
  const blocksTold = new Set<number>();
  let before: Look | undefined;
  try {
    while (!signal.aborted) {
      const now = await look(deps, job);
      if (before === undefined) yield { event: 'state', data: now.document };
      else yield* changes(deps, job, before, now, blocksTold);
      if (now.isOver) return;
      before = now;
      await pause(doorbell, signal);
    }
  } finally {
    unwatch();
  }
}

async function look(deps: WatchDeps, job: KnownJob): Promise<Look> {
  const facts = await readFacts(deps, job.spec);
  const document = jobDocument(job, facts);
  const done = Number(flopsDone(job.plan, facts));
  const seconds = (deps.clock() - Date.parse(document.startedAt ?? '')) / 1000;
  // Before a job has begun there is no rate: the date is no date, so the comparison is false.
  const etaSeconds = done > 0 && seconds >= 0 ? (seconds * (Number(job.plan.flops) - done)) / done : null;
  // A finished job may be deleted between two looks; then nothing more will be heard of it.
  const isOver =
    facts.outcome !== undefined || (await deps.jobs.readSpec(job.spec.tenant, job.spec.id)) === undefined;
  return { document, progress: { ...document.progress, etaSeconds }, isOver };
}

async function* changes(
  deps: WatchDeps,
  job: KnownJob,
  before: Look,
  now: Look,
  blocksTold: Set<number>,
): AsyncGenerator<WatchEvent> {
  const isNewState = now.document.state !== before.document.state;
  if (isNewState && !now.isOver) yield { event: 'state', data: now.document };
  if (blocksTold.size < now.progress.blocksDone) yield* newBlocks(deps, job, blocksTold);
  const { blocksDone, flopsDone } = before.progress;
  if (now.progress.blocksDone !== blocksDone || now.progress.flopsDone !== flopsDone) {
    yield { event: 'progress', data: now.progress };
  }
  if (isNewState && now.isOver) yield { event: 'state', data: now.document };
}

async function* newBlocks(
  { jobs }: WatchDeps,
  { spec }: KnownJob,
  blocksTold: Set<number>,
): AsyncGenerator<WatchEvent> {
  for (const index of await jobs.listBlocks(spec.tenant, spec.id)) {
    if (blocksTold.has(index)) continue;
    blocksTold.add(index);
    const receipt = await jobs.readReceipt(spec.tenant, spec.id, index);
    if (receipt !== undefined) yield { event: 'block', data: blockDocument(spec.id, receipt) };
  }
}

async function pause(doorbell: Doorbell, signal: AbortSignal): Promise<void> {
  await sleep(LOOK_APART_MS);
  await doorbell.wait(LOOK_AGAIN_MS, signal);
}
