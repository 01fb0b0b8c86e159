import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { pino } from 'pino';
import { decodeTime } from 'ulid';
import { ArrayStore } from '../../../shared/io/array-store.ts';
import { lineJobId } from '../../../shared/io/batch-ids.ts';
import { settleBatch } from '../../../shared/io/batch-progress.ts';
import { type BatchRecord, isRejected } from '../../../shared/io/batch-store.ts';
import { createClaims } from '../../../shared/io/claims.ts';
import { createCollector } from '../../../shared/io/collector.ts';
import { JobStore } from '../../../shared/io/job-store.ts';
import { createOpenJobs } from '../../../shared/io/open-jobs.ts';
import { openFileStore } from '../../../shared/io/store/file-store.ts';
import { SHARD_SECONDS } from '../../../shared/io/store/newest-first.ts';
import { EXPIRED_JOB_SECONDS, LEFTOVER_AGE_SECONDS, RESULT_CHUNK_BYTES } from '../../../shared/job/limits.ts';
import { cancelledOutcome, jobSpec } from '../../support/stored-jobs.ts';
import { temporaryFolder } from '../../support/temporary.ts';

const ID = '01JE5WVJ2S8QK7A6TDXYZM0000';
const CREATED = '2026-11-23T12:00:00.000Z';

async function setUp(context: TestContext) {
  const root = await temporaryFolder(context);
  const store = await openFileStore(root);
  const time = { nowMs: Date.parse(CREATED) };
  const clock = () => time.nowMs;
  const jobs = new JobStore(store, clock);
  return { root, store, time, clock, jobs };
}

type Setting = Awaited<ReturnType<typeof setUp>>;

function record(line: number, expression: string): BatchRecord {
  const { id: _, tenant: __, createdAt: ___, ...spec } = jobSpec({ nowMs: Date.parse(CREATED) });
  return {
    line,
    customId: `c${line}`,
    spec: { ...spec, expression },
    flops: '4',
    blocksTotal: 1,
    resultBytes: 8,
  };
}

const rejected = (line: number): BatchRecord => ({
  line,
  customId: null,
  problem: { code: 'json-syntax', detail: 'it is not JSON', context: {} },
});

async function write({ jobs }: Setting, records: readonly BatchRecord[], arrays: readonly string[] = []) {
  const writer = await jobs.batches.write();
  for (const one of records) await writer.add(one, arrays);
  const count = records.filter(isRejected).length;
  const about = {
    id: ID,
    tenant: 'default',
    createdAt: CREATED,
    rejected: count,
    expiresIn: 3600,
    claim: 'ab'.repeat(32),
  };
  return writer.commit(about);
}

test('records come back one by one and in order, across the borders of chunks', async context => {
  const setting = await setUp(context);
  const long = 'x'.repeat(RESULT_CHUNK_BYTES / 3);
  const records = Array.from({ length: 10 }, (_, at) =>
    at === 4 ? rejected(at + 1) : record(at + 1, `${at}${long}`),
  );
  assert.equal(await write(setting, records, ['a', 'b']), true);
  const batch = await setting.jobs.batches.open('default', ID);
  assert.ok(batch !== undefined);
  for (const index of [10, 1, 5, 2]) assert.deepEqual(await batch.record(index), records[index - 1]);
  const all: BatchRecord[] = [];
  for await (const one of batch.records()) all.push(one);
  assert.deepEqual(all, records);
  assert.deepEqual(
    await batch.rejections(),
    records.map((_, at) => at === 4),
  );
  assert.deepEqual(await batch.arrays(), ['a', 'b']);
  assert.equal(batch.footer.total, 10);
  await batch.close();
});

test('a batch is created once', async context => {
  const setting = await setUp(context);
  assert.equal(await write(setting, [record(1, 'A')]), true);
  assert.equal(await write(setting, [record(1, 'B')]), false);
  assert.equal((await setting.jobs.readSpec('default', lineJobId(ID, 1)))?.expression, 'A');
});

test('a line’s job is the tenant’s, with the id of its line', async context => {
  const setting = await setUp(context);
  await write(setting, [record(1, 'A'), rejected(2)]);
  const { jobs } = setting;
  const spec = await jobs.readSpec('default', lineJobId(ID, 1));
  assert.deepEqual([spec?.id, spec?.tenant, spec?.createdAt], [lineJobId(ID, 1), 'default', CREATED]);
  for (const [tenant, id] of [
    ['other', lineJobId(ID, 1)],
    ['default', lineJobId(ID, 2)],
    ['default', lineJobId(ID, 3)],
    ['default', ID],
  ] as const) {
    assert.equal(await jobs.readSpec(tenant, id), undefined);
  }
});

test('an end that comes after the deletion of a line does not count', async context => {
  const setting = await setUp(context);
  const { jobs, time } = setting;
  await write(setting, [record(1, 'A')]);
  const spec = (await jobs.readSpec('default', lineJobId(ID, 1)))!;
  const cancelled = cancelledOutcome(time.nowMs, spec);
  await jobs.putOutcome(spec, cancelled);
  await jobs.deleteJob('default', spec.id);
  await jobs.putOutcome(spec, {
    ...cancelled,
    state: 'failed',
    problem: { code: 'operand-lost', detail: '', context: {} },
  });
  assert.equal(await jobs.finalState('default', spec.id), 'cancelled');
  assert.equal(await jobs.hasSpec('default', spec.id), false);
  assert.equal(await jobs.hasSpec('default', ID), true, 'the batch is there');
});

function collectorOf({ jobs, store, clock }: Setting) {
  const [arrays, openJobs] = [new ArrayStore(store, clock), createOpenJobs(store)];
  return createCollector({ store, jobs, arrays, openJobs, log: pino({ enabled: false }), clock });
}

test('an unfinished batch that lost its marker gets it back, for the reconciler to find', async context => {
  const setting = await setUp(context);
  const { store, time } = setting;
  time.nowMs = decodeTime(ID);
  const [collect, openJobs] = [collectorOf(setting), createOpenJobs(store)];
  await write(setting, [record(1, 'A')]);
  assert.equal((await collect()).reopened, 0, 'it is just being accepted');
  time.nowMs += 60_000;
  assert.equal((await collect()).reopened, 1);
  assert.deepEqual(await openJobs.batches('default'), [ID]);
  time.nowMs += 60_000;
  assert.equal((await collect()).reopened, 0);
});

test('what a straggler wrote of a batch that has gone goes once it is old', async context => {
  const setting = await setUp(context);
  const { jobs, time, root } = setting;
  time.nowMs = decodeTime(ID);
  const collect = collectorOf(setting);
  await jobs.batches.slices.put('default', ID, 1, [], null);
  assert.equal((await collect()).batches, 0, 'it might be about to be accepted');
  time.nowMs += LEFTOVER_AGE_SECONDS * 1000;
  assert.equal((await collect()).batches, 1);
  const left = await readdir(join(root, 'objects'), { recursive: true, withFileTypes: true });
  assert.deepEqual(
    left.filter(entry => entry.isFile()),
    [],
  );
});

test('passes read only the batches of which something may be due', async context => {
  const setting = await setUp(context);
  const { jobs, time } = setting;
  time.nowMs = decodeTime(ID);
  await write(setting, [record(1, 'A')]);
  await settleBatch(setting, 'default', ID, ['cancelled']);
  let reads = 0;
  const readOutcome = jobs.batches.readOutcome.bind(jobs.batches);
  jobs.batches.readOutcome = (tenant, id) => {
    reads += 1;
    return readOutcome(tenant, id);
  };
  const collect = collectorOf(setting);
  for (let pass = 0; pass < 10; pass += 1) await collect();
  assert.equal(reads, 1);
  // What came to the shard since may be due earlier.
  time.nowMs += SHARD_SECONDS * 1000;
  await collect();
  assert.equal(reads, 2);
  for (let pass = 0; pass < 10; pass += 1) await collect();
  assert.equal(reads, 2);
});

test('a batch goes when its last job would have gone, with all that they left, and its key can be used again', async context => {
  const setting = await setUp(context);
  const { jobs, store, time, clock, root } = setting;
  const collect = collectorOf(setting);
  await write(setting, [record(1, 'A'), record(2, 'A')]);
  const claim = { version: 1, kind: 'batch', id: ID, bodyDigest: '', createdAt: CREATED } as const;
  await createClaims(store).put('default', 'ab'.repeat(32), claim);
  for (const index of [1, 2]) {
    const spec = (await jobs.readSpec('default', lineJobId(ID, index)))!;
    await jobs.putOutcome({ tenant: 'default', id: spec.id }, cancelledOutcome(time.nowMs, spec));
  }
  await settleBatch({ jobs, clock }, 'default', ID, ['cancelled', 'cancelled']);
  const deletions = Array.from({ length: 5 }, () => jobs.deleteJob('default', lineJobId(ID, 2)));
  assert.equal((await Promise.all(deletions)).filter(Boolean).length, 1);
  assert.equal(await jobs.deleteJob('default', lineJobId(ID, 2)), false);
  assert.equal(await jobs.finalState('default', lineJobId(ID, 2)), 'cancelled');
  const lifeMs = (3600 + EXPIRED_JOB_SECONDS) * 1000;
  time.nowMs += lifeMs - 1;
  assert.equal((await collect()).batches, 0);
  assert.ok((await jobs.readSpec('default', lineJobId(ID, 1))) !== undefined);
  time.nowMs += 1;
  assert.equal((await collect()).batches, 1);
  assert.equal(await jobs.batches.footer('default', ID), undefined);
  const left = await readdir(join(root, 'objects'), { recursive: true, withFileTypes: true });
  assert.deepEqual(
    left.filter(entry => entry.isFile()).map(entry => entry.name),
    [],
  );
});
