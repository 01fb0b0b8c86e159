import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, test } from 'node:test';
import { batchId, batchKey, lineJobId } from '../../../shared/io/batch-ids.ts';
import { JobStore } from '../../../shared/io/job-store.ts';
import type { EndedJob } from '../../../shared/io/slice-store.ts';
import { openFileStore } from '../../../shared/io/store/file-store.ts';
import { blockLimitsFor } from '../../../shared/job/block-limits.ts';
import type { Outcome } from '../../../shared/job/outcome.ts';
import { temporaryFolder } from '../../support/temporary.ts';

const TENANT = 'default';
const ID = batchId('01JE5WVJ2S8QK7A6TDXYZMABCD');
const TIMES = {
  version: 1,
  startedAt: '2026-01-01T00:00:00.000Z',
  finishedAt: '2026-01-01T00:00:01.000Z',
  expiresAt: '2026-01-02T00:00:01.000Z',
} as const;
const CANCELLED: Outcome = { ...TIMES, state: 'cancelled' };

let root: string;
let jobs: JobStore;

/** Another process over the same store: it remembers nothing. */
const another = async () => new JobStore(await openFileStore(root));

beforeEach(async context => {
  root = await temporaryFolder(context as Parameters<typeof temporaryFolder>[0]);
  jobs = await another();
  const writer = jobs.batches.write();
  for (let line = 1; line <= 3; line += 1) {
    const spec = {
      version: 1,
      operation: 'value',
      expression: 'A',
      wrt: 'A',
      operands: {},
      dtype: 'float64',
      reproducible: false,
      seed: 0,
      labels: {},
      priority: 0,
      expiresIn: 60,
      isSmall: true,
      blockLimits: blockLimitsFor(),
    } as const;
    await writer.add({ line, customId: null, spec, flops: '4', blocksTotal: 1, resultBytes: 8 }, []);
  }
  const about = { id: ID, tenant: TENANT, createdAt: TIMES.startedAt, rejected: 0, expiresIn: 60 };
  assert.equal(await writer.commit({ ...about, claim: null }), true);
});

function ended(line: number): EndedJob {
  const data = Buffer.from(`result of ${line}`);
  const sha256 = createHash('sha256').update(data).digest('hex');
  const outcome: Outcome = {
    ...TIMES,
    state: 'succeeded',
    manifest: { bytes: data.length, digest: sha256, blocks: [{ rows: [0, 1], bytes: data.length, sha256 }] },
    verification: { method: 'freivalds', rounds: 1, seeds: [1], maxError: 0, bound: 1 },
    errorBound: null,
    kernel: 'reference',
    seconds: { queue: 0, load: 0, compute: 0, verify: 0, store: 0 },
  };
  return { jobId: lineJobId(ID, line), outcome, block: { data, flops: '4' } };
}

test('jobs end together in one object, with their results', async () => {
  assert.equal(await jobs.batches.slices.put(TENANT, ID, 0, [ended(1), ended(3)], null), true);
  for (const store of [jobs, await another()]) {
    for (const line of [1, 3]) {
      const jobId = lineJobId(ID, line);
      assert.deepEqual(await store.readOutcome(TENANT, jobId), ended(line).outcome);
      assert.equal(await store.hasOutcome(TENANT, jobId), true);
      const block = await store.openBlock(TENANT, jobId, 0);
      assert.ok(block);
      const pieces = [];
      for await (const piece of block.readVerified(0, block.footer.bytes)) pieces.push(piece);
      assert.equal(Buffer.concat(pieces).toString(), `result of ${line}`);
    }
    assert.equal(await store.readOutcome(TENANT, lineJobId(ID, 2)), undefined, 'it ends by itself');
  }
});

test('a slice is written once', async () => {
  const { slices } = jobs.batches;
  const won = await Promise.all([1, 2, 3].map(line => slices.put(TENANT, ID, 0, [ended(line)], null)));
  assert.equal(won.filter(Boolean).length, 1);
  const states = await Promise.all(
    [1, 2, 3].map(async line => (await (await another()).readOutcome(TENANT, lineJobId(ID, line)))?.state),
  );
  assert.equal(states.filter(state => state === 'succeeded').length, 1);
});

test('of a slice and the end of one of its jobs exactly one wins', async () => {
  const jobId = lineJobId(ID, 2);
  assert.equal(await jobs.putOutcome({ tenant: TENANT, id: jobId, isSmall: true }, CANCELLED), true);
  assert.equal(await jobs.batches.slices.put(TENANT, ID, 0, [ended(1), ended(2)], null), false);
  assert.equal((await jobs.readOutcome(TENANT, jobId))?.state, 'cancelled');
  assert.equal(await jobs.readOutcome(TENANT, lineJobId(ID, 1)), undefined, 'it is still to end');
  assert.equal(
    await jobs.putOutcome({ tenant: TENANT, id: lineJobId(ID, 1), isSmall: true }, CANCELLED),
    true,
    'and does by itself',
  );
});

test('a job that ended with its slice does not end again', async () => {
  assert.equal(await jobs.batches.slices.put(TENANT, ID, 0, [ended(1)], null), true);
  const other = await another();
  assert.equal(
    await other.putOutcome({ tenant: TENANT, id: lineJobId(ID, 1), isSmall: true }, CANCELLED),
    false,
  );
  assert.equal((await other.readOutcome(TENANT, lineJobId(ID, 1)))?.state, 'succeeded');
  assert.equal(
    await other.putOutcome({ tenant: TENANT, id: lineJobId(ID, 2), isSmall: true }, CANCELLED),
    true,
    'the slice does not name it',
  );
});

test('a damaged result in a slice is never handed out', async () => {
  await jobs.batches.slices.put(TENANT, ID, 0, [ended(1), ended(2)], null);
  const path = join(root, 'objects', `${batchKey(TENANT, ID)}/slice-0`);
  const bytes = await readFile(path);
  bytes.write('R', bytes.indexOf('result of 2'));
  await writeFile(path, bytes);
  const store = await another();
  await assert.rejects(store.openBlock(TENANT, lineJobId(ID, 2), 0), { code: 'result-corrupt' });
  assert.ok(await store.openBlock(TENANT, lineJobId(ID, 1), 0), 'its neighbour is whole');
});

test('a batch that ends with its only slice has its outcome there', async () => {
  const batch = {
    version: 1,
    counts: { succeeded: 3, failed: 0, cancelled: 0, rejected: 0 },
    finishedAt: TIMES.finishedAt,
  } as const;
  await jobs.batches.slices.put(TENANT, ID, 0, [ended(1), ended(2), ended(3)], batch);
  assert.deepEqual(await (await another()).batches.readOutcome(TENANT, ID), batch);
});
