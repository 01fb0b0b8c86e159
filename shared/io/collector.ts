// What nobody may ask for any more leaves the store: results after their time, then the jobs themselves, arrays that
// no unfinished job needs, and what crashes and interrupted deletions left. Every step looks before it removes and may
// be repeated, so any number of processes may collect at once. Unfinished jobs are never touched: they end first, and
// one that lost its open marker, or a batch that did, gets it back here, since nobody else looks at all of them.

import type { Logger } from 'pino';
import { decodeTime } from 'ulid';
import { arraysOf } from '../job/arrays-of.ts';
import {
  ARRAY_GRACE_SECONDS,
  EXPIRED_JOB_SECONDS,
  EXPIRES_IN_SECONDS_MIN,
  LEFTOVER_AGE_SECONDS,
} from '../job/limits.ts';
import type { ArrayStore } from './array-store.ts';
import { collectBatch } from './batch-collector.ts';
import { isJobId, type JobStore, jobKey } from './job-store.ts';
import { type OpenJobs, UNMARKED_SECONDS } from './open-jobs.ts';
import { isShardOpen, SHARD_SECONDS } from './store/newest-first.ts';
import type { Store } from './store/store.ts';

const COLLECT_SECONDS = 600;
/** The first pass comes this soon, so that a process that never gets old collects, too. */
const FIRST_PASS_SECONDS = 30;
/** A shard in which nothing is due is looked at again after this time: stragglers may have written to it. */
const SHARD_SECONDS_MAX = 24 * 3600;

export interface CollectDeps {
  readonly store: Store;
  readonly jobs: JobStore;
  readonly arrays: ArrayStore;
  readonly openJobs: OpenJobs;
  readonly log: Logger;
  /** Milliseconds since the epoch. */
  readonly clock: () => number;
}

/** How many of each a pass removed. */
export interface CollectCounts {
  /** Unfinished jobs and batches that had lost their marker, so that no reconciler looked after them. */
  reopened: number;
  results: number;
  jobs: number;
  batches: number;
  arrays: number;
  leftovers: number;
  /** Left for the next pass, because something about them failed. */
  skipped: number;
}

/** @returns one pass at a call; passes remember when something is due where, so that most of them read little. */
export function createCollector(deps: CollectDeps): () => Promise<CollectCounts> {
  const dueMs: DueTimes = new Map();
  return async () => {
    const counts: CollectCounts = {
      reopened: 0,
      results: 0,
      jobs: 0,
      batches: 0,
      arrays: 0,
      leftovers: 0,
      skipped: 0,
    };
    for (const tenant of await deps.jobs.tenants()) {
      for (const kind of KINDS) await collectShards(deps, kind, tenant, dueMs, counts);
      await attempt(deps, counts, { tenant }, async () => {
        counts.arrays += await collectArrays(deps, tenant);
      });
    }
    counts.leftovers += await deps.store.sweep(LEFTOVER_AGE_SECONDS);
    counts.leftovers += await collectProbes(deps);
    return counts;
  };
}

/** When (ms) a shard is worth another look, by `<kind>/<tenant>/<shard>`. */
type DueTimes = Map<string, number>;

/** What is filed in shards of time. */
interface Kind {
  readonly name: string;
  shards(deps: CollectDeps, tenant: string): Promise<string[]>;
  idsIn(deps: CollectDeps, tenant: string, shard: string): Promise<string[]>;
  /** Does what is due for one of them. @returns when (ms) the next thing is */
  collect(deps: CollectDeps, tenant: string, id: string, counts: CollectCounts): Promise<number>;
}

const KINDS: readonly Kind[] = [
  {
    name: 'jobs',
    shards: ({ jobs }, tenant) => jobs.shards(tenant),
    idsIn: ({ jobs }, tenant, shard) => jobs.jobIdsIn(tenant, shard),
    collect: collectJob,
  },
  {
    name: 'batches',
    shards: ({ jobs }, tenant) => jobs.batches.shards(tenant),
    idsIn: ({ jobs }, tenant, shard) => jobs.batches.idsIn(tenant, shard),
    collect: collectBatch,
  },
];

async function collectShards(
  deps: CollectDeps,
  kind: Kind,
  tenant: string,
  dueMs: DueTimes,
  counts: CollectCounts,
): Promise<void> {
  const prefix = `${kind.name}/${tenant}/`;
  const shards = await kind.shards(deps, tenant);
  for (const shard of shards) {
    const nowMs = deps.clock();
    if ((dueMs.get(prefix + shard) ?? 0) > nowMs) continue;
    // What comes to a shard that is still being filled may be due before anything that is there.
    let nextMs = nowMs + 1000 * (isShardOpen(shard, nowMs) ? SHARD_SECONDS : SHARD_SECONDS_MAX);
    for (const id of (await kind.idsIn(deps, tenant, shard)).filter(isJobId)) {
      // What could not be looked at is due at the next pass.
      let idMs = nowMs;
      await attempt(deps, counts, { tenant, id }, async () => {
        idMs = await kind.collect(deps, tenant, id, counts);
      });
      nextMs = Math.min(nextMs, idMs);
    }
    dueMs.set(prefix + shard, nextMs);
  }
  forgetGone(dueMs, prefix, shards);
}

function forgetGone(dueMs: DueTimes, prefix: string, shards: readonly string[]): void {
  const present = new Set(shards.map(shard => prefix + shard));
  for (const key of dueMs.keys()) {
    if (key.startsWith(prefix) && !present.has(key)) dueMs.delete(key);
  }
}

async function collectJob(
  deps: CollectDeps,
  tenant: string,
  jobId: string,
  counts: CollectCounts,
): Promise<number> {
  const { jobs, clock } = deps;
  const nowMs = clock();
  const remove = async (): Promise<number> => {
    await jobs.deleteJob(tenant, jobId);
    counts.jobs += 1;
    return Number.POSITIVE_INFINITY;
  };
  const [hasSpec, outcome] = [await jobs.hasSpec(tenant, jobId), await jobs.readOutcome(tenant, jobId)];
  if (!hasSpec) {
    // A deletion cut short, blocks of a straggler; or a job that is just being accepted, which is young.
    const orphanMs = decodeTime(jobId) + LEFTOVER_AGE_SECONDS * 1000;
    return nowMs < orphanMs ? orphanMs : remove();
  }
  if (outcome === undefined) {
    await reopen(deps, tenant, jobId, counts);
    return nowMs + EXPIRES_IN_SECONDS_MIN * 1000;
  }
  const expiresMs = Date.parse(outcome.expiresAt);
  if (nowMs < expiresMs) return expiresMs;
  const forgottenMs = expiresMs + EXPIRED_JOB_SECONDS * 1000;
  if (nowMs >= forgottenMs) return remove();
  if ((await jobs.listBlocks(tenant, jobId)).length > 0) {
    await jobs.deleteResult(tenant, jobId);
    counts.results += 1;
  }
  return forgottenMs;
}

/**
 * A gateway that stood still between marker and spec finds the marker swept as an orphan's. Of a job that ends at this
 * moment the marker is one too many, which the reconciler removes.
 */
async function reopen(
  { store, openJobs, clock, log }: CollectDeps,
  tenant: string,
  jobId: string,
  counts: CollectCounts,
): Promise<void> {
  if (clock() - decodeTime(jobId) < UNMARKED_SECONDS * 1000 || (await openJobs.has(tenant, jobId))) return;
  // A job of a batch has no spec of its own, and the batch's marker stands for it.
  if ((await store.stat(`${jobKey(tenant, jobId)}/spec`)) === undefined) return;
  await openJobs.add(tenant, jobId);
  counts.reopened += 1;
  log.warn({ tenant, jobId }, 'an unfinished job had lost its marker');
}

async function collectArrays(deps: CollectDeps, tenant: string): Promise<number> {
  let needed: Promise<Set<string>> | undefined;
  return deps.arrays.collectExpired(tenant, ARRAY_GRACE_SECONDS, async id => {
    needed ??= neededArrays(deps, tenant);
    return (await needed).has(id);
  });
}

/** What jobs that may be unfinished read. A job accepted later cannot name an array that has expired by now. */
async function neededArrays({ jobs, openJobs }: CollectDeps, tenant: string): Promise<Set<string>> {
  const needed = new Set<string>();
  for (const jobId of await openJobs.newestFirst(tenant)) {
    const spec = await jobs.readSpec(tenant, jobId);
    if (spec !== undefined) for (const id of arraysOf(spec)) needed.add(id);
  }
  return needed;
}

/** Every life of a worker writes a probe under a name of its own. */
async function collectProbes({ store, clock }: CollectDeps): Promise<number> {
  let removed = 0;
  for (const name of await store.list('probes')) {
    const info = await store.stat(`probes/${name}`);
    if (info === undefined || info.modifiedAt.getTime() > clock() - LEFTOVER_AGE_SECONDS * 1000) continue;
    if (await store.delete(`probes/${name}`)) removed += 1;
  }
  return removed;
}

/** One thing that cannot be collected keeps nothing else from it; but where the store is away, the pass ends. */
async function attempt(
  { store, log }: CollectDeps,
  counts: CollectCounts,
  what: object,
  collect: () => Promise<void>,
): Promise<void> {
  try {
    await collect();
  } catch (error) {
    await store.list('tenants');
    counts.skipped += 1;
    log.warn({ err: error, ...what }, 'something cannot be collected');
  }
}

/** Collects soon, and then every COLLECT_SECONDS, one pass at a time. `stop` waits for a pass under way. */
export function startCollector(deps: CollectDeps): { stop(): Promise<void> } {
  const collect = createCollector(deps);
  let pass: Promise<void> | undefined;
  const run = () => {
    pass ??= collect()
      .then(
        counts => deps.log.debug({ ...counts }, 'collected'),
        (error: unknown) => deps.log.warn({ err: error }, 'collecting broke off'),
      )
      .finally(() => {
        pass = undefined;
      });
  };
  const first = setTimeout(run, FIRST_PASS_SECONDS * 1000).unref();
  const timer = setInterval(run, COLLECT_SECONDS * 1000).unref();
  return {
    async stop() {
      clearTimeout(first);
      clearInterval(timer);
      await pass;
    },
  };
}
