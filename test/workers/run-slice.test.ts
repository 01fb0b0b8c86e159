import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { FrechetError } from '../../shared/errors.ts';
import { batchId, lineJobId } from '../../shared/io/batch-ids.ts';
import type { Live } from '../../shared/io/live.ts';
import { createOpenJobs } from '../../shared/io/open-jobs.ts';
import type { WorkQueue } from '../../shared/io/queue.ts';
import { resolveSpec } from '../../shared/job/resolve.ts';
import { jobRequest } from '../../shared/job/spec.ts';
import { processSlice, type SliceDeps } from '../../workers/run-slice.ts';
import { longestTurn } from '../support/turns.ts';
import { createRig, ROOMY, TENANT } from './rig.ts';

const ID = batchId('01JE5WVJ2S8QK7A6TDXYZMABCD');
const REFERENCE = { tenant: TENANT, batchId: ID, slice: 0 };
const LINES = 5;

/** A batch of small products in the store, line i being [[i]]·[[2]]; `deps` tells what was enqueued by itself. */
async function createWorks(context: TestContext, expression = 'A*W', lines = LINES) {
  const rig = await createRig(context);
  const alone: string[] = [];
  const nothing = async () => undefined;
  const deps: SliceDeps = {
    ...rig.deps,
    threads: rig.machine.threads,
    openJobs: createOpenJobs(rig.store),
    live: { noteSliceFinished: nothing, publish: nothing, noteAllEnqueued: nothing } as Partial<Live> as Live, // all it asks
    queue: {
      enqueueAll: async jobs => void alone.push(...jobs.map(({ id }) => id)),
    } as Partial<WorkQueue> as WorkQueue, // all it asks
  };
  const writer = deps.jobs.batches.write();
  for (let line = 1; line <= lines; line += 1) {
    const { id, tenant, createdAt, ...spec } = resolveSpec(
      jobRequest.parse({ operation: 'value', expression, operands: { A: { data: 0 }, W: { data: 0 } } }),
      {
        operands: new Map([
          ['A', inline(line)],
          ['W', inline(2)],
        ]),
      },
      { id: '', tenant: TENANT, createdAt: '' },
      ROOMY,
    );
    await writer.add(
      { line, customId: null, spec: { ...spec, isSmall: true }, flops: '1', blocksTotal: 1, resultBytes: 8 },
      [],
    );
  }
  const about = { id: ID, tenant: TENANT, createdAt: new Date().toISOString(), rejected: 0, claim: null };
  await writer.commit({ ...about, expiresIn: 60 });
  await deps.openJobs.addBatch(TENANT, ID);
  return { rig, deps, alone };
}

function inline(value: number) {
  const bytes = Buffer.from(Float64Array.of(value).buffer);
  return {
    dims: [1, 1],
    source: { inline: bytes.toString('base64'), dtype: 'float64', order: 'C' },
  } as const;
}

const run = (deps: SliceDeps, isSuspect = false, compute?: Parameters<typeof processSlice>[4]) =>
  processSlice(deps, REFERENCE, isSuspect, new AbortController().signal, compute);

async function resultOf({ jobs }: SliceDeps, line: number): Promise<number | undefined> {
  const block = await jobs.openBlock(TENANT, lineJobId(ID, line), 0);
  if (block === undefined) return undefined;
  for await (const piece of block.readVerified(0, block.footer.bytes))
    return Buffer.from(piece).readDoubleLE();
  return undefined;
}

test('the jobs of a slice are computed, verified and ended in one object', async context => {
  const { rig, deps, alone } = await createWorks(context);
  await run(deps);
  for (let line = 1; line <= LINES; line += 1) {
    assert.equal(await resultOf(deps, line), 2 * line);
    const outcome = await deps.jobs.readOutcome(TENANT, lineJobId(ID, line));
    assert.equal(outcome?.state === 'succeeded' && outcome.kernel, 'wasm');
  }
  assert.deepEqual(
    await deps.jobs.startedLines(TENANT, ID, lineJobId(ID, LINES)),
    [],
    'no object of their own',
  );
  assert.equal((await deps.jobs.batches.readOutcome(TENANT, ID))?.counts.succeeded, LINES);
  assert.deepEqual(await deps.openJobs.batches(TENANT), []);
  assert.deepEqual(alone, []);
  assert.equal(rig.usedBytes(), 0);
  assert.equal(await rig.counter('frechet_jobs_finished_total', { outcome: 'succeeded' }), LINES);
});

test('done again it changes nothing', async context => {
  const { rig, deps } = await createWorks(context);
  await run(deps);
  await run(deps);
  assert.equal(await rig.counter('frechet_jobs_finished_total', { outcome: 'succeeded' }), LINES);
});

test('a job that cannot be computed now goes by itself, one that never can fails with the others', async context => {
  const { deps, alone } = await createWorks(context);
  await run(deps, false, async (_, { spec, plan }) => {
    if (spec.id === lineJobId(ID, 2)) throw new FrechetError('unavailable', 'not now');
    if (spec.id === lineJobId(ID, 3)) throw new FrechetError('operand-lost', 'never');
    return computedOf(plan.block(0));
  });
  assert.deepEqual(alone, [lineJobId(ID, 2)]);
  assert.equal(await deps.jobs.hasOutcome(TENANT, lineJobId(ID, 2)), false);
  assert.equal((await deps.jobs.readOutcome(TENANT, lineJobId(ID, 3)))?.state, 'failed');
  assert.equal((await deps.jobs.readOutcome(TENANT, lineJobId(ID, 4)))?.state, 'succeeded');
  assert.deepEqual(await deps.openJobs.batches(TENANT), [ID], 'a job of it is open');
});

test('where none can be computed nothing is written', async context => {
  const { deps } = await createWorks(context);
  const failing = run(deps, false, async () => {
    throw new FrechetError('unavailable', 'not now');
  });
  await assert.rejects(failing, { code: 'unavailable' });
  assert.equal(await deps.jobs.batches.slices.read(TENANT, ID, 0), undefined);
});

test('a slice over which a worker may have died is tried job by job', async context => {
  const { deps, alone } = await createWorks(context);
  await run(deps, true);
  assert.equal(alone.length, LINES);
  assert.equal(await deps.jobs.hasOutcome(TENANT, lineJobId(ID, 1)), false);
});

test('a cancelled job stays cancelled, and the others of its slice go by themselves', async context => {
  const { deps, alone } = await createWorks(context);
  const now = new Date().toISOString();
  const cancelled = { version: 1, state: 'cancelled', finishedAt: now, expiresAt: now } as const;
  assert.equal(
    await deps.jobs.putOutcome({ tenant: TENANT, id: lineJobId(ID, 3), isSmall: true }, cancelled),
    true,
  );
  await run(deps);
  assert.equal((await deps.jobs.readOutcome(TENANT, lineJobId(ID, 3)))?.state, 'cancelled');
  assert.deepEqual(
    alone,
    [1, 2, 4, 5].map(line => lineJobId(ID, line)),
  );
});

function computedOf(range: object) {
  const data = new Uint8Array(8);
  const at = new Date().toISOString();
  return {
    data,
    receipt: {
      ...range,
      index: 0,
      bytes: 8,
      sha256: '0'.repeat(64),
      chunks: [],
      verification: { method: 'freivalds', rounds: 1, seeds: [0], maxError: 0, bound: 0 },
      errorBound: null,
      kernel: 'reference',
      seconds: { load: 0, compute: 0, verify: 0, store: 0 },
      flops: '1',
      startedAt: at,
      finishedAt: at,
    },
  } as const;
}

test('the plans of a slice leave turns for others where they take long', async context => {
  const { deps, alone } = await createWorks(context, `A${'*W'.repeat(400)}`, 30);
  const { longestMs, totalMs } = await longestTurn(() => run(deps, true));
  assert.equal(alone.length, 30);
  assert.ok(longestMs < totalMs / 3, `${longestMs} of ${totalMs} ms in one turn`);
});
