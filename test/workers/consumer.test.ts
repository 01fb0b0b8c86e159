// The consumer over real Redis, a real store and real threads: references in, outcomes out, whatever comes between.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { open } from 'node:fs/promises';
import { after, before, describe, type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { FrechetError } from '../../shared/errors.ts';
import { createBlockAttempts } from '../../shared/io/block-attempts.ts';
import { JobStore } from '../../shared/io/job-store.ts';
import { createLive, subscribeLive } from '../../shared/io/live.ts';
import { createOpenJobs } from '../../shared/io/open-jobs.ts';
import { createWorkQueue } from '../../shared/io/queue.ts';
import { type ConnectionRole, connectRedis } from '../../shared/io/redis.ts';
import { placeOf } from '../../shared/io/rounds.ts';
import { QUEUED_BLOCKS_MAX } from '../../shared/job/limits.ts';
import type { Outcome } from '../../shared/job/outcome.ts';
import { createActiveBlocks } from '../../workers/active-blocks.ts';
import { createCompany } from '../../workers/company.ts';
import { type ConsumerDeps, startConsumer } from '../../workers/consumer.ts';
import type { ComputeThreads } from '../../workers/execute/threads.ts';
import { createKnownJobs } from '../../workers/known-jobs.ts';
import { runBlock } from '../../workers/run-block.ts';
import { integers, product } from '../support/integers.ts';
import { startTestRedis, type TestRedis } from '../support/redis.ts';
import { cancelledOutcome } from '../support/stored-jobs.ts';
import { sharing } from './machine.ts';
import { createRig, fileOf, putJob, type Rig, ROOMY, readResult, TENANT, upload, workOf } from './rig.ts';

type Job = Awaited<ReturnType<typeof putJob>>;

const [M, N, P] = [12, 6, 4];
const [a, h] = [integers(M, N, 1), integers(N, P, 2)];
/** One row a block. */
const ROW: typeof ROOMY = { ...ROOMY, bytes: P * 8 };

let redis: TestRedis;
before(async () => {
  redis = await startTestRedis();
});
after(() => redis.stop());

interface Works extends Rig {
  readonly consumerDeps: ConsumerDeps;
  readonly bugs: Error[];
  submit(job: Job): Promise<void>;
  start(changes?: Partial<ConsumerDeps>): ReturnType<typeof startConsumer>;
  ended(job: Job): Promise<Outcome>;
}

async function createWorks(t: TestContext, { blocksAtOnce = QUEUED_BLOCKS_MAX } = {}): Promise<Works> {
  const rig = await createRig(t);
  const connect = (role: ConnectionRole) => {
    const connection = connectRedis(redis.url, role, () => undefined);
    t.after(() => connection.disconnect());
    return connection;
  };
  const producer = connect('producer');
  await new Promise(resolve => producer.once('ready', resolve));
  await producer.flushall();
  const queue = createWorkQueue(producer, blocksAtOnce);
  t.after(() => queue.close());
  const live = createLive(producer);
  const bugs: Error[] = [];
  const active = createActiveBlocks();
  await subscribeLive(connect('subscriber'), event => {
    if (event.type === 'cancel') active.cancelJob(event.jobId);
  });
  const consumerDeps: ConsumerDeps = {
    ...rig.deps,
    threads: rig.machine.threads,
    openJobs: createOpenJobs(rig.store),
    queue,
    live,
    known: createKnownJobs(rig.deps.jobs),
    active,
    attempts: createBlockAttempts(rig.store, randomUUID()),
    company: createCompany(),
    onBug: error => void bugs.push(error),
    onStarved: () => assert.fail('no work was seen that could not be had'),
  };
  return {
    ...rig,
    consumerDeps,
    bugs,
    async submit({ spec, plan }) {
      await live.noteEnqueued(spec.tenant, spec.id, { flops: plan.flops, bytes: 0 });
      await queue.enqueue(
        spec,
        Array.from({ length: plan.blocksTotal }, (_, index) => index),
        plan.blocksTotal,
      );
    },
    start(changes = {}) {
      const consumer = startConsumer({ ...consumerDeps, ...changes }, connect('consumer'));
      t.after(() => consumer.close(0));
      return consumer;
    },
    async ended({ spec }) {
      for (let i = 0; i < 500; i++) {
        const outcome = await rig.deps.jobs.readOutcome(TENANT, spec.id);
        if (outcome !== undefined) return outcome;
        await sleep(20);
      }
      return assert.fail('the job did not end');
    },
  };
}

async function productJob(works: Rig, blockLimits = ROW): Promise<Job> {
  const [A, direction] = [await upload(works, a), await upload(works, h)];
  return putJob(works, { operation: 'jvp', operands: { A }, direction, blockLimits });
}

/** Threads through which a combine passes only when told. */
function gated(threads: ComputeThreads) {
  let open = () => {};
  const opened = new Promise<void>(resolve => {
    open = resolve;
  });
  let arrive = () => {};
  const arrived = new Promise<void>(resolve => {
    arrive = resolve;
  });
  const gate = sharing(threads, async (task, tiles, control) => {
    if (task.kind === 'combine') {
      arrive();
      await opened;
    }
    return threads.run(task, tiles, control);
  });
  return { threads: gate, arrived, open };
}

/** Waits until a count is what it should be: counting follows the deed. */
async function reached(count: () => Promise<number>, wanted: number): Promise<void> {
  for (let i = 0; i < 200 && (await count()) !== wanted; i++) await sleep(10);
  assert.equal(await count(), wanted);
}

const plain = (values: Iterable<number>) => Array.from(values, value => value + 0);

describe('the consumer', () => {
  test('computes the blocks of jobs and ends them, one block or many', async t => {
    const works = await createWorks(t);
    works.start();
    for (const limits of [ROOMY, ROW]) {
      const job = await productJob(works, limits);
      await works.consumerDeps.openJobs.add(TENANT, job.spec.id);
      await works.submit(job);
      const outcome = await works.ended(job);
      assert.ok(outcome.state === 'succeeded', outcome.state);
      assert.equal(outcome.manifest.blocks.length, job.plan.blocksTotal);
      assert.equal(outcome.manifest.bytes, M * P * 8 + 128);
      assert.deepEqual(plain(await readResult(works, job)), plain(product(a, h).data));
    }
    await reached(() => works.counter('frechet_jobs_finished_total', { outcome: 'succeeded' }), 2);
    for (let i = 0; i < 200 && (await works.consumerDeps.live.load()).running > 0; i++) await sleep(10);
    assert.deepEqual(await works.consumerDeps.openJobs.newestFirst(TENANT), []);
    assert.deepEqual(await works.consumerDeps.live.load(), { queued: 0, running: 0, backlogFlops: 0 });
  });

  test('tells the queue what it takes, so that whoever comes then is placed behind that and no more', async t => {
    const works = await createWorks(t);
    const taken: number[] = [];
    const { queue } = works.consumerDeps;
    const noteTaken = (place: number) => {
      taken.push(place);
      return queue.noteTaken(place);
    };
    works.start({ queue: { ...queue, noteTaken } });
    const job = await productJob(works);
    await works.submit(job);
    await works.ended(job);
    const { priority } = job.spec;
    const blocks = Array.from({ length: M }, (_, round) => placeOf(priority, round));
    assert.deepEqual(taken, [...blocks, placeOf(priority, 0)], 'the blocks, then the end');
  });

  test('a job of more blocks than are queued at a time is done wave by wave, without a retry', async t => {
    const works = await createWorks(t, { blocksAtOnce: 20 });
    const rows = 50;
    const [tall, column] = [integers(rows, 2, 3), integers(2, 1, 4)];
    const [A, direction] = [await upload(works, tall), await upload(works, column)];
    const blockLimits = { ...ROOMY, bytes: 8 };
    const job = await putJob(works, { operation: 'jvp', operands: { A }, direction, blockLimits });
    assert.equal(job.plan.blocksTotal, rows);
    await works.submit(job);
    assert.equal(await works.consumerDeps.queue.waiting(), 20);
    works.start();
    assert.equal((await works.ended(job)).state, 'succeeded');
    assert.deepEqual(plain(await readResult(works, job)), plain(product(tall, column).data));
    await reached(() => works.counter('frechet_blocks_finished_total', { outcome: 'stored' }), rows);
    assert.equal(await works.counter('frechet_blocks_finished_total', { outcome: 'retried' }), 0);
  });

  test('computes what is missing and nothing else: stored blocks are kept', async t => {
    const works = await createWorks(t);
    const job = await productJob(works);
    for (const index of [0, 3, 11]) await runBlock(works.deps, workOf(job, index));
    works.start();
    await works.submit(job);
    assert.equal((await works.ended(job)).state, 'succeeded');
    await reached(() => works.counter('frechet_blocks_finished_total', { outcome: 'present' }), 3);
    await reached(() => works.counter('frechet_blocks_finished_total', { outcome: 'stored' }), 12);
  });

  test('a damaged block is computed again before the job ends', async t => {
    const works = await createWorks(t);
    const job = await productJob(works);
    await runBlock(works.deps, workOf(job, 5));
    const file = await open(await fileOf(works, '5'), 'r+');
    const { size } = await file.stat();
    await file.write(Buffer.from('?'), 0, 1, size - 60);
    await file.close();
    works.start();
    await works.submit(job);
    assert.equal((await works.ended(job)).state, 'succeeded');
    assert.deepEqual(plain(await readResult(works, job)), plain(product(a, h).data));
  });

  test('an operand that is lost fails the job, whose other blocks then cost nothing', async t => {
    const works = await createWorks(t);
    const job = await productJob(works);
    const { source } = job.spec.operands.A!;
    assert.ok(source !== undefined && 'array' in source);
    await works.deps.arrays.delete(TENANT, source.array);
    works.start();
    await works.submit(job);
    const outcome = await works.ended(job);
    assert.ok(outcome.state === 'failed');
    assert.equal(outcome.problem.code, 'operand-lost');
    assert.ok(outcome.startedAt !== undefined);
    await reached(() => works.counter('frechet_jobs_finished_total', { outcome: 'failed' }), 1);
    assert.equal(await works.counter('frechet_blocks_finished_total', { outcome: 'stored' }), 0);
  });

  test('a block that always fails verification fails the job', async t => {
    const works = await createWorks(t);
    const { threads, memory } = works.machine;
    const broken = sharing(threads, async (task, tiles, control) => {
      const found = await threads.run(task, tiles, control);
      if (task.kind === 'combine') new Float64Array(memory.buffer)[task.c.offset]! += 1;
      return found;
    });
    works.start({ threads: broken });
    const job = await productJob(works, ROOMY);
    await works.submit(job);
    const outcome = await works.ended(job);
    assert.ok(outcome.state === 'failed');
    assert.equal(outcome.problem.code, 'verification-failed');
    assert.equal(await works.counter('frechet_verification_failures_total'), 3);
  });

  test('cancelling during a computation ends it, frees its memory, and leaves the outcome alone', async t => {
    const works = await createWorks(t);
    const gate = gated(works.machine.threads);
    works.start({ threads: gate.threads });
    const job = await productJob(works, ROOMY);
    await works.submit(job);
    await gate.arrived;
    await works.deps.jobs.putOutcome(job.spec, cancelledOutcome(Date.now(), job.spec));
    await works.consumerDeps.live.publish({ type: 'cancel', tenant: TENANT, jobId: job.spec.id });
    for (let i = 0; i < 200 && ![...works.consumerDeps.active].every(b => b.signal.aborted); i++)
      await sleep(10);
    gate.open();
    for (let i = 0; i < 200 && [...works.consumerDeps.active].length > 0; i++) await sleep(10);
    assert.equal(await works.counter('frechet_blocks_finished_total', { outcome: 'cancelled' }), 1);
    assert.equal((await works.deps.jobs.readOutcome(TENANT, job.spec.id))?.state, 'cancelled');
    assert.equal(await works.deps.jobs.readReceipt(TENANT, job.spec.id, 0), undefined);
    (await works.deps.cache.acquire(works.machine.room.byteLength, [])).release();
  });

  test('a cancellation that Redis lost is found in the store', async t => {
    const works = await createWorks(t);
    const gate = gated(works.machine.threads);
    works.start({ threads: gate.threads });
    const job = await productJob(works, ROOMY);
    await works.submit(job);
    await gate.arrived;
    await works.deps.jobs.putOutcome(job.spec, cancelledOutcome(Date.now(), job.spec));
    const [block] = [...works.consumerDeps.active];
    for (let i = 0; i < 200 && !block!.signal.aborted; i++) await sleep(20);
    assert.ok(block!.signal.aborted);
    gate.open();
  });

  test('a job that was cancelled and deleted while it ran is computed no further', async t => {
    const works = await createWorks(t);
    const gate = gated(works.machine.threads);
    works.start({ threads: gate.threads });
    const job = await productJob(works);
    assert.ok(job.plan.blocksTotal > 1);
    await works.submit(job);
    await gate.arrived;
    await works.deps.jobs.putOutcome(job.spec, cancelledOutcome(Date.now(), job.spec));
    await works.deps.jobs.deleteJob(TENANT, job.spec.id);
    const running = [...works.consumerDeps.active];
    for (let i = 0; i < 200 && !running.every(block => block.signal.aborted); i++) await sleep(20);
    gate.open();
    const { queue, live } = works.consumerDeps;
    for (let i = 0; i < 200 && (await queue.knows(job.spec, job.plan.blocksTotal)); i++) await sleep(20);
    assert.equal(await queue.knows(job.spec, job.plan.blocksTotal), false);
    assert.deepEqual(await works.deps.jobs.listBlocks(TENANT, job.spec.id), []);
    assert.equal(await works.deps.jobs.readOutcome(TENANT, job.spec.id), undefined);
    assert.deepEqual(await live.runningJobs(), []);
  });

  test('a drain without patience hands the block back, and another worker computes it', async t => {
    const works = await createWorks(t);
    const gate = gated(works.machine.threads);
    const consumer = works.start({ threads: gate.threads });
    const job = await productJob(works, ROOMY);
    await works.submit(job);
    await gate.arrived;
    const closed = consumer.close(0);
    for (let i = 0; i < 200 && ![...works.consumerDeps.active].every(b => b.signal.aborted); i++)
      await sleep(10);
    gate.open();
    await closed;
    assert.equal(await works.deps.jobs.readOutcome(TENANT, job.spec.id), undefined);
    assert.equal(await works.counter('frechet_blocks_finished_total', { outcome: 'stored' }), 0);
    works.start();
    assert.equal((await works.ended(job)).state, 'succeeded');
  });

  test('a drain with patience finishes the block', async t => {
    const works = await createWorks(t);
    const gate = gated(works.machine.threads);
    const consumer = works.start({ threads: gate.threads });
    const job = await productJob(works, ROOMY);
    await works.submit(job);
    await gate.arrived;
    const closed = consumer.close(10_000);
    gate.open();
    await closed;
    assert.equal((await works.ended(job)).state, 'succeeded');
  });

  test('an outage of the store is waited out', async t => {
    const works = await createWorks(t);
    let failures = 0;
    class FlakyJobs extends JobStore {
      override putBlock(...given: Parameters<JobStore['putBlock']>): Promise<boolean> {
        failures += 1;
        if (failures > 1) return super.putBlock(...given);
        return Promise.reject(new FrechetError('unavailable', 'the volume is away'));
      }
    }
    const jobs = new FlakyJobs(works.store);
    works.start({ jobs });
    const job = await productJob(works, ROOMY);
    await works.submit(job);
    assert.equal((await works.ended(job)).state, 'succeeded');
    await reached(() => works.counter('frechet_blocks_finished_total', { outcome: 'retried' }), 1);
    assert.deepEqual(works.bugs, []);
  });

  test('a bug is told of at once, instead of being tried again in silence', async t => {
    const works = await createWorks(t);
    const threads = sharing(works.machine.threads, () =>
      Promise.reject(new TypeError('undefined is not a matrix')),
    );
    works.start({ threads });
    const job = await productJob(works, ROOMY);
    await works.submit(job);
    for (let i = 0; i < 200 && works.bugs.length === 0; i++) await sleep(10);
    assert.match(works.bugs[0]!.message, /not a matrix/);
    assert.equal(await works.deps.jobs.readOutcome(TENANT, job.spec.id), undefined);
  });

  test('work of a job that was deleted or has ended is nothing to do', async t => {
    const works = await createWorks(t);
    const [gone, finished] = [await productJob(works, ROOMY), await productJob(works)];
    await works.deps.jobs.deleteJob(TENANT, gone.spec.id);
    await works.deps.jobs.putOutcome(finished.spec, cancelledOutcome(Date.now(), finished.spec));
    await works.submit(gone);
    await works.submit(finished);
    works.start();
    for (let i = 0; i < 300 && (await works.consumerDeps.queue.knows(finished.spec, 12)); i++)
      await sleep(20);
    assert.equal(await works.consumerDeps.queue.knows(finished.spec, 12), false);
    assert.equal(await works.consumerDeps.queue.knows(gone.spec, 1), false);
    assert.equal(await works.counter('frechet_blocks_finished_total', { outcome: 'stored' }), 0);
  });
});
