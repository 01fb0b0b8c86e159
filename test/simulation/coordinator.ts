// The coordination of Frechet without Frechet: submitting, enqueueing, claiming, storing, finishing, cancelling,
// reconciling and collecting, by the modules that do it in production, over a store, a work-list and a clock in memory.
// Processes die at any step, the store fails, Redis goes away or forgets everything, and time jumps.

import { createHash } from 'node:crypto';
import { pino } from 'pino';
import type { GatewayDeps } from '../../api/deps.ts';
import { cancelJob } from '../../api/jobs/cancel.ts';
import { createSmallJobs } from '../../api/jobs/small-jobs.ts';
import { submitJob } from '../../api/jobs/submit.ts';
import { assert } from '../../shared/assert.ts';
import { errorCode, FrechetError } from '../../shared/errors.ts';
import { ArrayStore } from '../../shared/io/array-store.ts';
import { createBlockAttempts } from '../../shared/io/block-attempts.ts';
import { createClaims } from '../../shared/io/claims.ts';
import { createCollector } from '../../shared/io/collector.ts';
import { JobStore } from '../../shared/io/job-store.ts';
import { createMetrics } from '../../shared/io/metrics.ts';
import { createOpenJobs } from '../../shared/io/open-jobs.ts';
import { reconcile } from '../../shared/io/reconciler.ts';
import type { BlockRange, BlockReceipt } from '../../shared/job/outcome.ts';
import { createActiveBlocks } from '../../workers/active-blocks.ts';
import { createCompany } from '../../workers/company.ts';
import { type ConsumerDeps, processReference } from '../../workers/consumer.ts';
import { createKnownJobs } from '../../workers/known-jobs.ts';
import type { BlockWork } from '../../workers/run-block.ts';
import { type ComputedBlock, processSlice } from '../../workers/run-slice.ts';
import { createRandom, type Random } from '../support/random.ts';
import { createMemoryQueue, Entries, type Entry } from './memory-queue.ts';
import { createMemoryStore, Objects } from './memory-store.ts';
import { blockData, createPromises } from './promises.ts';
import { createQuietLive } from './quiet-live.ts';
import { createScheduler, type Life } from './scheduler.ts';

const START_MS = Date.parse('2026-01-01T00:00:00Z');
const SEED_APART_MS = 60 * 24 * 3_600_000;
const JOBS_MAX = 3;
const LOADED_TURNS = 250;
const TURNS_APART = 32;
/** Locks, retries, orphans and the reconciler all have had their time by then. */
const CALM_MS_MAX = 20 * 60_000;
const WEEK_MS = 7 * 24 * 3_600_000;
/** Longer than every expiry, grace and age together, and what two collectors leave of each other's work goes a pass later. */
const WEEKS_MAX = 8;
const RECONCILE_MS = 30_000;
const COLLECT_MS = 100_000;
const IDLE_MS = 1_000;

const log = pino({ enabled: false });
const metrics = { gateway: createMetrics('gateway').metrics, worker: createMetrics('worker').metrics };

/** What a simulation went through, so that a test can tell that things did happen. */
export interface Passage {
  accepted: number;
  crashes: number;
  storeFaults: number;
  wipes: number;
  suspects: number;
}

/** Lives through one seed. @throws AssertionError that names the broken promise */
export async function simulate(seed: number, { isExclusive = true } = {}): Promise<Passage> {
  const random = createRandom(seed);
  const restore = decideRandomValues(random.fork());
  try {
    return await livesThrough(seed, random, isExclusive);
  } finally {
    restore();
  }
}

/** Ids are drawn from the platform's generator, and their order decides what is looked at first. */
function decideRandomValues(random: Random): () => void {
  const drawn = <T>(array: T): T => {
    if (array instanceof Uint8Array) for (const index of array.keys()) array[index] = random.below(256);
    return array;
  };
  Object.defineProperty(globalThis.crypto, 'getRandomValues', { value: drawn, configurable: true });
  return () => void Reflect.deleteProperty(globalThis.crypto, 'getRandomValues');
}

async function livesThrough(seed: number, random: Random, isExclusive: boolean): Promise<Passage> {
  // Ids of one process ascend, so that a later seed lives later.
  const scheduler = createScheduler(random.fork(), START_MS + seed * SEED_APART_MS);
  const promises = createPromises(() => objects, scheduler.now);
  const objects = new Objects(promises.onEffect, isExclusive);
  const entries = new Entries(random.fork(), scheduler.now);
  const passage: Passage = { accepted: 0, crashes: 0, storeFaults: 0, wipes: 0, suspects: 0 };
  let isCalm = false;
  let awayUntilMs = 0;

  /** What a life sees of the world. */
  function viewOf(life: Life) {
    const storeGate = async () => {
      await scheduler.step(life);
      if (isCalm || random.below(40) > 0) return;
      passage.storeFaults += 1;
      throw new FrechetError('unavailable', 'The store could not do it.');
    };
    const redisGate = async () => {
      await scheduler.step(life);
      if (scheduler.now() < awayUntilMs) throw new Error('Redis is away');
    };
    const store = createMemoryStore(objects, storeGate);
    const jobs = new JobStore(store, scheduler.now);
    return {
      store,
      jobs,
      arrays: new ArrayStore(store, scheduler.now),
      openJobs: createOpenJobs(store),
      claims: createClaims(store),
      queue: createMemoryQueue(entries, redisGate),
      live: createQuietLive(redisGate),
      attempts: createBlockAttempts(store, life.name),
      redisGate,
      log,
      clock: scheduler.now,
    };
  }
  type View = ReturnType<typeof viewOf>;
  type GatewayView = View & Parameters<typeof submitJob>[0];

  async function forEver(life: Life, everyMs: number, act: () => Promise<unknown>): Promise<void> {
    for (;;) {
      await act().catch(rethrowBugs);
      await scheduler.sleep(life, everyMs);
    }
  }

  async function runGateway(life: Life): Promise<void> {
    const base = { ...viewOf(life), ...ROOMY, metrics: metrics.gateway };
    const view = { ...base, smallJobs: createSmallJobs(base) };
    void forEver(life, RECONCILE_MS, () => reconcile(view));
    const collect = createCollector(view);
    void forEver(life, COLLECT_MS, collect);
    for (; passage.accepted < JOBS_MAX && !isCalm; ) {
      await scheduler.sleep(life, random.below(3_000));
      if (isCalm) return;
      const jobId = await submit(view).catch(rethrowBugs);
      if (jobId !== undefined && random.below(3) === 0) void cancel(life, view, jobId).catch(rethrowBugs);
    }
  }

  async function submit(view: GatewayView): Promise<string> {
    // As the route does, which refuses a request before it reads it.
    await view.redisGate();
    const { spec } = await submitJob(view, 'default', {
      body: requestOf(1 + random.below(3)),
      digest: '',
      parts: new Map(),
    });
    promises.accept(spec.id);
    passage.accepted += 1;
    return spec.id;
  }

  async function cancel(life: Life, view: View, jobId: string): Promise<void> {
    await scheduler.sleep(life, random.below(2_000));
    try {
      const { state } = await cancelJob({ ...view, metrics: metrics.gateway }, 'default', jobId);
      assert(state === 'cancelled', `a cancelled job is ${state}`);
      promises.tell(jobId, 'cancelled');
    } catch (error) {
      if (errorCode(error) === 'job-finished') promises.tell(jobId, 'finished');
      else throw error;
    }
  }

  async function runWorker(life: Life): Promise<void> {
    const view = viewOf(life);
    const deps = {
      ...view,
      metrics: metrics.worker,
      known: createKnownJobs(view.jobs),
      active: createActiveBlocks(),
      company: createCompany(),
    } as Partial<ConsumerDeps> as ConsumerDeps; // what computes is not simulated
    void forEver(life, RECONCILE_MS, () => reconcile(view));
    void forEver(life, RECONCILE_MS, async () => {
      await view.redisGate();
      entries.takeBack(() => !isCalm && random.below(4) === 0);
    });
    for (let lane = 0; lane < 2; lane += 1)
      void forEver(life, IDLE_MS, async () => {
        while (await workOnce(life, view, deps));
      });
  }

  /** @returns whether there was anything to do */
  async function workOnce(life: Life, view: View, deps: ConsumerDeps): Promise<boolean> {
    await view.redisGate();
    const entry = entries.claim(life);
    if (entry === undefined) return false;
    if (entry.stalls > 0) passage.suspects += 1;
    const end = await processEntry(view, deps, entry).then(
      () => () => entries.complete(entry, life),
      (error: unknown) => {
        rethrowBugs(error);
        return () => entries.fail(entry, life);
      },
    );
    await view.redisGate().then(end, () => entries.abandon(entry, life));
    return true;
  }

  async function processEntry(view: View, deps: ConsumerDeps, { reference, stalls }: Entry): Promise<void> {
    const isSuspect = stalls > 0;
    if (!('slice' in reference)) {
      await processReference(deps, reference, isSuspect, work => compute(view, work));
      return;
    }
    const { signal } = new AbortController();
    await processSlice(deps, reference, isSuspect, signal, (_, { spec, plan }) =>
      computeSmall(view, spec.id, plan.block(0)),
    );
  }

  async function computeSmall({ redisGate }: View, jobId: string, range: BlockRange): Promise<ComputedBlock> {
    for (let step = random.below(4); step > 0; step -= 1) await redisGate().catch(() => undefined);
    if (random.below(20) === 0) throw new FrechetError('unavailable', 'This one cannot be computed now.');
    const data = blockData(jobId, 0);
    const sha256 = createHash('sha256').update(data).digest('hex');
    return { data, receipt: { ...RECEIPT, ...range, index: 0, bytes: data.byteLength, sha256 } };
  }

  async function compute(
    { jobs, redisGate }: View,
    { spec, plan, index, signal }: BlockWork,
  ): Promise<BlockReceipt | undefined> {
    for (let step = random.below(4); step > 0; step -= 1) await redisGate().catch(() => undefined);
    signal.throwIfAborted();
    const data = blockData(spec.id, index);
    const receipt = { ...RECEIPT, ...plan.block(index), index, bytes: data.byteLength };
    return (await jobs.putBlock(spec.tenant, spec.id, [data], receipt)) ? receipt : undefined;
  }

  const roles = [runGateway, runGateway, runWorker, runWorker];
  const lives = roles.map((run, index) => begin(run, index));

  function begin(run: (life: Life) => Promise<void>, index: number): Life {
    const life = { name: `${index}-${passage.crashes}`, isOver: false };
    run(life).catch(error => {
      bug ??= error;
    });
    return life;
  }

  /** What a promise of a process that nobody awaits was rejected with: a broken promise, or a bug. */
  let bug: unknown;
  function rethrowBugs(error: unknown): undefined {
    const isExpected = errorCode(error) !== undefined || (error as Error).message === 'Redis is away';
    if (!isExpected) bug ??= error;
    return undefined;
  }

  function misfortune(): void {
    if (random.below(20) === 0) {
      const index = random.below(lives.length);
      const life = lives[index]!; // one of them
      life.isOver = true;
      passage.crashes += 1;
      lives[index] = begin(roles[index]!, index); // of the same role
    }
    if (random.below(60) === 0) awayUntilMs = scheduler.now() + random.below(20_000);
    if (random.below(80) === 0) {
      entries.map.clear();
      passage.wipes += 1;
    }
    if (random.below(30) === 0) scheduler.advance(random.below(90_000));
  }

  async function turn(): Promise<void> {
    scheduler.advance(random.below(40));
    await scheduler.turn();
    if (bug !== undefined) throw bug;
  }

  async function until(holds: () => boolean, otherwise: () => string): Promise<void> {
    for (const endMs = scheduler.now() + CALM_MS_MAX; !holds(); ) {
      assert(scheduler.now() < endMs, otherwise());
      for (let turns = 0; turns < TURNS_APART; turns += 1) await turn();
    }
  }

  for (let turns = 0; turns < LOADED_TURNS; turns += 1) {
    misfortune();
    await turn();
  }
  isCalm = true;
  awayUntilMs = 0;
  await until(
    promises.isKept,
    () => `never ends: ${promises.unfinished().join(' ')}, open: ${objects.below('open')}`,
  );
  const isCollected = () => objects.below('tenants').length === 0;
  // What was being accepted when calm began ends a little later than the rest.
  for (let weeks = 0; weeks < WEEKS_MAX && !isCollected(); weeks += 1) {
    scheduler.advance(WEEK_MS);
    for (let turns = 0; turns < 4 * TURNS_APART; turns += 1) await turn();
  }
  await until(isCollected, () => `never collected: ${objects.below('tenants').join(' ')}`);
  for (const life of lives) life.isOver = true;
  return passage;
}

/** Small operands, and a result that is cut into so many blocks; nobody computes it. */
function requestOf(blocks: number): object {
  if (blocks === 1)
    return { operation: 'jvp', operands: { A: { data: 2 } }, direction: { data: 3 }, expiresIn: 60 };
  const operands = { A: { data: 2 }, W: { shape: [1, JACOBIAN_ROWS] } };
  return { operation: 'jacobian', operands, jacobian: { columns: [0, blocks] }, expiresIn: 60 };
}

/** Of columns so long that one fills a block; there are no more of them than blocks, so that planning is quick. */
const JACOBIAN_ROWS = 8_000_000;

/** No limit of a tenant or the system is reached. */
const ROOMY = {
  storedBytes: { reserve: async () => undefined, giveBack: async () => undefined },
  tenants: {
    limitsOf: () => ({ queuedJobs: 1_000, queuedFlops: undefined }),
  },
  arriving: { total: 0 },
  drainRate: { observe: () => undefined, secondsFor: () => 1 },
} as unknown as Pick<GatewayDeps, 'storedBytes' | 'tenants' | 'arriving' | 'drainRate'>; // as much of them as submitting asks

const RECEIPT: Omit<BlockReceipt, 'index' | 'bytes'> = {
  sha256: '0'.repeat(64),
  chunks: [],
  verification: { method: 'freivalds', rounds: 1, seeds: [0], maxError: 0, bound: 0 },
  errorBound: null,
  kernel: 'reference',
  seconds: { load: 0, compute: 0, verify: 0, store: 0 },
  flops: '2',
  startedAt: new Date(START_MS).toISOString(),
  finishedAt: new Date(START_MS).toISOString(),
};
