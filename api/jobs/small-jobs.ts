// Small jobs that come at the same time are accepted together: while one group is being stored the next one gathers,
// so nobody waits for company, and under load marker, fsync, admission and queue entry are paid once for all of a group.
// In the store a group is a batch of one slice that no client asked for.

import { errorCode, FrechetError } from '../../shared/errors.ts';
import { batchId, lineJobId, sliceId } from '../../shared/io/batch-ids.ts';
import { specOfLine } from '../../shared/io/batch-store.ts';
import { arraysOf } from '../../shared/job/arrays-of.ts';
import { SLICE_LINES } from '../../shared/job/limits.ts';
import type { GatewayDeps } from '../deps.ts';
import { type AdmitDeps, admit, type Work, withdraw } from './admit.ts';
import type { KnownJob } from './known-job.ts';
import { lineSpec } from './line-spec.ts';
import { mayLoseMarker, randomId } from './next-id.ts';

type GroupDeps = AdmitDeps & Pick<GatewayDeps, 'jobs' | 'metrics' | 'openJobs' | 'queue'>;

interface Waiting {
  readonly job: KnownJob;
  readonly resolve: (job: KnownJob) => void;
  readonly reject: (error: unknown) => void;
}

export type SmallJobs = ReturnType<typeof createSmallJobs>;

/** Groups of one tenant that are being stored at the same time: while one waits for the disk another asks Redis. */
const GROUPS_AT_ONCE = 2;

export function createSmallJobs(deps: GroupDeps) {
  const gathering = new Map<string, { readonly waiting: Waiting[]; groups: number }>();

  async function work(tenant: string, state: { readonly waiting: Waiting[]; groups: number }): Promise<void> {
    state.groups += 1;
    while (state.waiting.length > 0) await acceptGroup(deps, tenant, state.waiting.splice(0, SLICE_LINES));
    state.groups -= 1;
    if (state.groups === 0) gathering.delete(tenant);
  }

  return {
    /**
     * Makes a job durable and enqueues it.
     *
     * @param job small, without arrays that are yet to be stored; its id and time are given here
     * @throws what admitting and storing throws; then nothing is left behind
     */
    submit(tenant: string, job: KnownJob): Promise<KnownJob> {
      return new Promise((resolve, reject) => {
        const state = gathering.get(tenant) ?? { waiting: [], groups: 0 };
        gathering.set(tenant, state);
        state.waiting.push({ job, resolve, reject });
        if (state.groups < GROUPS_AT_ONCE) void work(tenant, state);
      });
    },
  };
}

/** Never throws. A group that is refused is tried again job by job: a part of it may have room. */
async function acceptGroup(deps: GroupDeps, tenant: string, group: readonly Waiting[]): Promise<void> {
  try {
    const jobs = await storeGroup(
      deps,
      tenant,
      group.map(({ job }) => job),
    );
    for (const [at, { resolve }] of group.entries()) resolve(jobs[at]!); // one for each
  } catch (error) {
    if (group.length > 1 && isRefusal(error)) for (const one of group) await acceptGroup(deps, tenant, [one]);
    else for (const { reject } of group) reject(error);
  }
}

function isRefusal(error: unknown): boolean {
  return error instanceof FrechetError && error.kind === 'busy';
}

async function storeGroup(
  deps: GroupDeps,
  tenant: string,
  group: readonly KnownJob[],
): Promise<readonly KnownJob[]> {
  const nowMs = deps.clock();
  const id = groupId(nowMs);
  const createdAt = new Date(nowMs).toISOString();
  const work = workOf(tenant, id, group);
  await admit(deps, work);
  try {
    // The marker is there first, as for a job.
    const marked = deps.openJobs.addBatch(tenant, id);
    marked.catch(() => undefined); // it is met where the group is stored
    await store(deps, tenant, { id, createdAt, marked }, group);
    if (mayLoseMarker(id, deps.clock())) await deps.openJobs.addBatch(tenant, id);
  } catch (error) {
    await withdrawUnlessStored(deps, tenant, id, work);
    throw error;
  }
  for (const { spec } of group) deps.metrics.frechet_jobs_submitted_total.inc({ operation: spec.operation });
  await enqueue(deps, tenant, id, group);
  return group.map((job, at) => ({
    plan: job.plan,
    spec: specOfLine({ id, tenant, createdAt }, at + 1, lineSpec(job)),
  }));
}

let lastMs = 0;

/** Those of one process ascend: the lines' numbers take the place of what lets ids ascend within a millisecond. */
function groupId(nowMs: number): string {
  lastMs = Math.max(nowMs, lastMs + 1);
  return batchId(randomId(lastMs));
}

/** Its place in the backlog is that of its only slice. */
function workOf(tenant: string, id: string, group: readonly KnownJob[]): Work {
  return {
    tenant,
    id: sliceId(id, 0),
    jobs: group.length,
    flops: group.reduce((sum, { plan }) => sum + plan.flops, 0n),
    bytes: group.reduce((sum, { plan }) => sum + (plan.result.dataBytes ?? 0), 0),
  };
}

async function store(
  { jobs }: GroupDeps,
  tenant: string,
  { marked, ...about }: { readonly id: string; readonly createdAt: string; readonly marked: Promise<void> },
  group: readonly KnownJob[],
): Promise<void> {
  const writer = jobs.batches.write();
  try {
    let line = 0;
    for (const job of group) {
      line += 1;
      const { flops, blocksTotal, result } = job.plan;
      const amount = { flops: String(flops), blocksTotal, resultBytes: result.dataBytes ?? 0 };
      await writer.add({ line, customId: null, spec: lineSpec(job), ...amount }, arraysOf(job.spec));
    }
    const expiresIn = Math.max(...group.map(({ spec }) => spec.expiresIn));
    await writer.commit({ ...about, tenant, rejected: 0, expiresIn, claim: null, isGroup: true }, marked);
  } finally {
    await writer.discard();
  }
}

/** After a failed write the group may be there all the same: then its place is rightly taken. */
async function withdrawUnlessStored(deps: GroupDeps, tenant: string, id: string, work: Work): Promise<void> {
  const footer = await deps.jobs.batches.footer(tenant, id).catch((error: unknown) => {
    deps.log.debug({ err: error, code: errorCode(error) }, 'whether a group is stored is not known');
    return null;
  });
  if (footer === undefined) await withdraw(deps, work);
}

async function enqueue(
  { queue, log }: GroupDeps,
  tenant: string,
  id: string,
  group: readonly KnownJob[],
): Promise<void> {
  const priority = Math.max(...group.map(({ spec }) => spec.priority));
  try {
    await queue.enqueueSlices([{ tenant, batchId: id, slice: 0, priority }]);
  } catch (error) {
    log.warn({ err: error, jobId: lineJobId(id, 1) }, 'accepted jobs are not enqueued yet');
  }
}
