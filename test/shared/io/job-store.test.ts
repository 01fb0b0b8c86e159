import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { type TestContext, test } from 'node:test';
import { ulid } from 'ulid';
import { isJobId, JobStore, jobKey } from '../../../shared/io/job-store.ts';
import { openFileStore } from '../../../shared/io/store/file-store.ts';
import type { BlockReceipt, Outcome } from '../../../shared/job/outcome.ts';
import type { JobSpec } from '../../../shared/job/spec.ts';
import { temporaryFolder } from '../../support/temporary.ts';
import { collect, failsWith } from './streams.ts';

const START = Date.parse('2026-11-23T12:00:00.000Z');
const ID = ulid(START);

async function setUp(context: TestContext) {
  const store = await openFileStore(await temporaryFolder(context));
  const clock = { now: START };
  return { store, clock, jobs: new JobStore(store, () => clock.now) };
}

function spec(id = ID, tenant = 'default'): JobSpec {
  return {
    version: 1,
    id,
    tenant,
    operation: 'jvp',
    expression: 'A*W',
    wrt: 'W',
    operands: {},
    dtype: 'float64',
    reproducible: false,
    seed: 0,
    labels: { name: 'Fréchet' },
    priority: 0,
    expiresIn: 60,
    createdAt: '2026-11-23T12:00:00.000Z',
    blockLimits: { bytes: 1, flops: '1', workingSetBytes: 1 },
  };
}

function outcome(state: 'cancelled' | 'failed', detail = ''): Outcome {
  const times = {
    version: 1,
    finishedAt: '2026-11-23T12:00:01.000Z',
    expiresAt: '2026-11-24T12:00:01.000Z',
  } as const;
  return state === 'cancelled'
    ? { ...times, state }
    : { ...times, state, problem: { code: 'value-not-finite', detail, context: {} } };
}

const DATA = new Uint8Array(new SharedArrayBuffer(64)).fill(3);

function receipt(index: number): BlockReceipt {
  const sha256 = createHash('sha256').update(new Uint8Array(DATA)).digest('hex');
  return {
    index,
    rows: [0, 4],
    bytes: DATA.byteLength,
    sha256,
    chunks: [sha256],
    verification: { method: 'freivalds', rounds: 1, seeds: [0], maxError: 0, bound: 1e-15 },
    errorBound: null,
    kernel: 'reference',
    seconds: { load: 0, compute: 0, verify: 0, store: 0 },
    flops: '24',
    startedAt: '2026-11-23T12:00:00.000Z',
    finishedAt: '2026-11-23T12:00:01.000Z',
  };
}

test('a spec is stored once and read as it was', async context => {
  const { jobs } = await setUp(context);
  assert.equal(await jobs.readSpec('default', ID), undefined);
  assert.equal(await jobs.createSpec(spec()), true);
  assert.equal(await jobs.createSpec({ ...spec(), expression: 'W' }), false);
  assert.deepEqual(await jobs.readSpec('default', ID), spec());
  assert.equal(await jobs.readSpec('other', ID), undefined);
});

test('of all outcomes that compete exactly one is told that it won, and stays', async context => {
  const { jobs } = await setUp(context);
  assert.equal(await jobs.hasOutcome('default', ID), false);
  const rivals = Array.from({ length: 100 }, (_, i) =>
    i % 2 ? outcome('cancelled') : outcome('failed', `rival ${i}`),
  );
  const won = await Promise.all(rivals.map(rival => jobs.putOutcome({ tenant: 'default', id: ID }, rival)));
  assert.equal(won.filter(Boolean).length, 1);
  assert.deepEqual(await jobs.readOutcome('default', ID), rivals[won.indexOf(true)]);
  assert.equal(await jobs.hasOutcome('default', ID), true);
});

test('a block is written once, with its receipt, and listed by number', async context => {
  const { jobs } = await setUp(context);
  assert.deepEqual(await jobs.listBlocks('default', ID), []);
  assert.equal(await jobs.readReceipt('default', ID, 0), undefined);
  for (const index of [10, 9, 0]) {
    assert.equal(
      await jobs.putBlock('default', ID, [DATA.subarray(0, 5), DATA.subarray(5)], receipt(index)),
      true,
    );
  }
  assert.equal(await jobs.putBlock('default', ID, [DATA], { ...receipt(9), kernel: 'wasm' }), false);
  assert.deepEqual(await jobs.listBlocks('default', ID), [0, 9, 10]);
  assert.deepEqual(await jobs.readReceipt('default', ID, 9), receipt(9));
  const block = await jobs.openBlock('default', ID, 10);
  assert.deepEqual(await collect(block!.readVerified(7, 20)), Buffer.alloc(13, 3));
  await block?.close();
});

test('a block in the place of another is never read as that', async context => {
  const { store, jobs } = await setUp(context);
  for (const index of [0, 1]) await jobs.putBlock('default', ID, [DATA], receipt(index));
  const keyOf = (index: number) => `${jobKey('default', ID)}/blocks/${index}`;
  const other = await store.get(keyOf(1));
  await store.put(keyOf(0), [other!], { exclusive: false });
  await failsWith('result-corrupt', jobs.openBlock('default', ID, 0));
  await failsWith('result-corrupt', jobs.readReceipt('default', ID, 0));
  assert.equal((await jobs.readReceipt('default', ID, 1))?.index, 1);
});

test('a block whose data are not those of its receipt is never read, and can be removed', async context => {
  const { jobs } = await setUp(context);
  const wrong = new Uint8Array(DATA);
  wrong[63] = 4;
  await jobs.putBlock('default', ID, [wrong], receipt(0));
  const block = await jobs.openBlock('default', ID, 0);
  await failsWith('result-corrupt', collect(block!.readVerified(0, 1)));
  await block?.close();
  await jobs.deleteBlock('default', ID, 0);
  assert.deepEqual(await jobs.listBlocks('default', ID), []);
  assert.equal(await jobs.putBlock('default', ID, [DATA], receipt(0)), true);
});

test('jobs are listed newest first, from any place on, tenant by tenant', async context => {
  const { jobs } = await setUp(context);
  const ids = [0, 1, 2, 1_000_000, 5_000_000, 5_000_001].map(offset => ulid(START + offset));
  for (const id of ids) await jobs.createSpec(spec(id));
  await jobs.createSpec(spec(ulid(START), 'other'));
  const list = async (before?: string, tenant = 'default') => {
    const found: string[] = [];
    for await (const id of jobs.jobIds(tenant, before)) found.push(id);
    return found;
  };
  ids.reverse();
  assert.deepEqual(await list(), ids);
  for (const [i, id] of ids.entries()) assert.deepEqual(await list(id), ids.slice(i + 1));
  assert.deepEqual(await list(ulid(START - 1)), []);
  assert.deepEqual(await list(ulid(START + 9_000_000)), ids);
  assert.equal((await list(undefined, 'other')).length, 1);
  assert.deepEqual(await jobs.tenants(), ['default', 'other']);
});

test('a deletion removes the spec first and the outcome last, and can be repeated', async context => {
  const { store, clock } = await setUp(context);
  const removed: string[] = [];
  const watched = new Proxy(store, {
    get(target, property) {
      const value: unknown = Reflect.get(target, property, target);
      if (typeof value !== 'function') return value;
      return async (...args: unknown[]) => {
        if (property === 'delete' || property === 'deletePrefix')
          removed.push(String(args[0]).split(ID)[1] ?? '');
        return Reflect.apply(value, target, args);
      };
    },
  });
  const jobs = new JobStore(watched, () => clock.now);
  await jobs.createSpec(spec());
  await jobs.putBlock('default', ID, [DATA], receipt(0));
  await jobs.putOutcome({ tenant: 'default', id: ID }, outcome('cancelled'));
  clock.now += 3_600_000;
  await jobs.deleteJob('default', ID);
  await jobs.deleteJob('default', ID);
  assert.deepEqual(removed.slice(0, 3), ['/spec', '/blocks', '']);
  assert.equal(await jobs.readSpec('default', ID), undefined);
  assert.equal(await jobs.hasOutcome('default', ID), false);
  assert.deepEqual(await store.list('tenants/default/jobs'), []);
});

test('of many deletions at once one is told that it removed the job', async context => {
  const { store, jobs } = await setUp(context);
  const many = [jobs, new JobStore(store), jobs, new JobStore(store), jobs];
  await jobs.createSpec(spec());
  await jobs.putOutcome({ tenant: 'default', id: ID }, outcome('cancelled'));
  const answers = await Promise.all(many.map(one => one.deleteJob('default', ID)));
  assert.equal(answers.filter(Boolean).length, 1);
  assert.equal(await jobs.deleteJob('default', ID), false);
});

test('text that is no ULID names no job', async context => {
  const { jobs } = await setUp(context);
  for (const id of [
    '',
    '..',
    '../../x',
    ID.toLowerCase(),
    `8${ID.slice(1)}`,
    `${ID}0`,
    ID.replace(/.$/, 'U'),
  ]) {
    assert.equal(isJobId(id), false);
    assert.equal(await jobs.readSpec('default', id), undefined);
    assert.equal(await jobs.readOutcome('default', id), undefined);
    assert.equal(await jobs.hasOutcome('default', id), false);
    assert.equal(await jobs.openBlock('default', id, 0), undefined);
    assert.deepEqual(await jobs.listBlocks('default', id), []);
  }
  assert.equal(isJobId(ID), true);
});

test('a document of another version, or a damaged one, is not misread', async context => {
  const { jobs, store } = await setUp(context);
  const key = `tenants/default/jobs/${ID.slice(0, 6)}/${ID}/spec`;
  for (const text of ['{"version":2}', 'null', '{"version":1', '']) {
    await store.put(key, [Buffer.from(text)], { exclusive: false });
    await failsWith('unavailable', jobs.readSpec('default', ID), text);
  }
});
