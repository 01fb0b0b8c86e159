import assert from 'node:assert/strict';
import { readdir, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { pino } from 'pino';
import { ArrayStore } from '../../../shared/io/array-store.ts';
import { type CollectCounts, createCollector, startCollector } from '../../../shared/io/collector.ts';
import { JobStore } from '../../../shared/io/job-store.ts';
import { createOpenJobs } from '../../../shared/io/open-jobs.ts';
import { openFileStore } from '../../../shared/io/store/file-store.ts';
import type { Store } from '../../../shared/io/store/store.ts';
import {
  ARRAY_GRACE_SECONDS,
  ARRAY_RETENTION_SECONDS,
  EXPIRED_JOB_SECONDS,
  LEFTOVER_AGE_SECONDS,
} from '../../../shared/job/limits.ts';
import type { JobSpec } from '../../../shared/job/spec.ts';
import { cancelledOutcome, jobSpec } from '../../support/stored-jobs.ts';
import { temporaryFolder } from '../../support/temporary.ts';
import { pieces } from './streams.ts';

const NOTHING: CollectCounts = {
  reopened: 0,
  results: 0,
  jobs: 0,
  batches: 0,
  arrays: 0,
  leftovers: 0,
  skipped: 0,
};
const SECOND = 1000;

async function setUp(context: TestContext) {
  const root = await temporaryFolder(context);
  const store = await openFileStore(root);
  const time = { nowMs: Date.parse('2026-11-23T12:00:00.000Z') };
  const clock = () => time.nowMs;
  const deps = {
    store,
    jobs: new JobStore(store, clock),
    arrays: new ArrayStore(store, clock),
    openJobs: createOpenJobs(store),
    log: pino({ enabled: false }),
    clock,
  };
  return { ...deps, deps, root, time, collect: createCollector(deps) };
}

type Setting = Awaited<ReturnType<typeof setUp>>;

const BLOCK = Buffer.alloc(8);
const RECEIPT = { index: 0, bytes: 8, sha256: '', chunks: [] } as never; // nobody reads it here

async function finished(setting: Setting, of: Partial<JobSpec> = {}): Promise<JobSpec> {
  const spec = jobSpec({ nowMs: setting.time.nowMs, ...of });
  await setting.jobs.createSpec(spec);
  await setting.jobs.putBlock(spec.tenant, spec.id, [BLOCK], RECEIPT);
  await setting.jobs.putOutcome(spec, cancelledOutcome(setting.time.nowMs, spec));
  return spec;
}

async function upload({ arrays }: Setting, value: number, tenant = 'default'): Promise<string> {
  const header = { shape: [1], dtype: 'float64', order: 'C' } as const;
  const staged = await arrays.stage(
    tenant,
    header,
    pieces(new Uint8Array(new Float64Array([value]).buffer), 8),
  );
  return (await staged.commit()).array.id;
}

const objects = async ({ root }: Setting): Promise<string[]> =>
  (await readdir(join(root, 'objects'), { recursive: true, withFileTypes: true }))
    .filter(entry => entry.isFile())
    .map(entry => entry.name);

test('a result goes when it expires, its job a week later, and nothing stays', async context => {
  const setting = await setUp(context);
  const { collect, jobs, time } = setting;
  const spec = await finished(setting, { expiresIn: 100 });
  time.nowMs += 99 * SECOND;
  assert.deepEqual(await collect(), NOTHING);
  assert.deepEqual(await jobs.listBlocks(spec.tenant, spec.id), [0]);
  time.nowMs += SECOND;
  assert.deepEqual(await collect(), { ...NOTHING, results: 1 });
  assert.deepEqual(await jobs.listBlocks(spec.tenant, spec.id), []);
  assert.ok(await jobs.readSpec(spec.tenant, spec.id), 'the job can still be read');
  assert.ok(await jobs.readOutcome(spec.tenant, spec.id));
  time.nowMs += EXPIRED_JOB_SECONDS * SECOND - 1;
  assert.deepEqual(await collect(), NOTHING);
  time.nowMs += 1;
  assert.deepEqual(await collect(), { ...NOTHING, jobs: 1 });
  assert.deepEqual(await objects(setting), []);
  assert.deepEqual(await jobs.shards('default'), []);
});

test('an unfinished job stays for ever, and every other tenant’s and shard’s jobs have their own time', async context => {
  const setting = await setUp(context);
  const { collect, jobs, time } = setting;
  const open = jobSpec({ nowMs: time.nowMs });
  await setting.openJobs.add(open.tenant, open.id);
  await jobs.createSpec(open);
  await jobs.putBlock(open.tenant, open.id, [BLOCK], RECEIPT);
  const short = await finished(setting, { expiresIn: 60, tenant: 'acme' });
  const long = await finished(setting, { expiresIn: 2_592_000 });
  time.nowMs += 61 * SECOND;
  assert.deepEqual(await collect(), { ...NOTHING, results: 1 });
  assert.deepEqual(await jobs.listBlocks('acme', short.id), []);
  time.nowMs += 365 * 24 * 3600 * SECOND;
  assert.deepEqual(await collect(), { ...NOTHING, jobs: 2 });
  assert.equal(await jobs.readSpec('default', long.id), undefined);
  assert.deepEqual(await jobs.listBlocks(open.tenant, open.id), [0]);
});

test('an unfinished job that lost its marker gets it back, for the reconciler to find', async context => {
  const setting = await setUp(context);
  const { collect, jobs, openJobs, time } = setting;
  const spec = jobSpec({ nowMs: time.nowMs });
  await jobs.createSpec(spec);
  assert.deepEqual(await collect(), NOTHING, 'it is just being accepted');
  time.nowMs += 60 * SECOND;
  assert.deepEqual(await collect(), { ...NOTHING, reopened: 1 });
  assert.deepEqual(await openJobs.newestFirst(spec.tenant), [spec.id]);
  time.nowMs += 60 * SECOND;
  assert.deepEqual(await collect(), NOTHING);
});

test('a job that ends between two passes is collected in its time', async context => {
  const setting = await setUp(context);
  const { collect, jobs, time } = setting;
  const spec = jobSpec({ nowMs: time.nowMs, expiresIn: 60 });
  await jobs.createSpec(spec);
  await jobs.putBlock(spec.tenant, spec.id, [BLOCK], RECEIPT);
  assert.deepEqual(await collect(), NOTHING);
  await jobs.putOutcome(spec, cancelledOutcome(time.nowMs, spec));
  time.nowMs += 60 * SECOND;
  assert.deepEqual(await collect(), { ...NOTHING, results: 1 });
});

test('what deletions and stragglers left of a job goes once it is old', async context => {
  const setting = await setUp(context);
  const { collect, store, jobs, time } = setting;
  const halfDeleted = await finished(setting);
  await store.delete(`tenants/default/jobs/${halfDeleted.id.slice(0, 6)}/${halfDeleted.id}/spec`);
  const straggler = jobSpec({ nowMs: time.nowMs });
  await jobs.putBlock(straggler.tenant, straggler.id, [BLOCK], RECEIPT);
  assert.deepEqual(await collect(), NOTHING, 'they might be about to be accepted');
  time.nowMs += LEFTOVER_AGE_SECONDS * SECOND;
  assert.deepEqual(await collect(), { ...NOTHING, jobs: 2 });
  assert.deepEqual(await objects(setting), []);
});

test('expired arrays go after a grace, unless an unfinished job needs them or they were renewed', async context => {
  const setting = await setUp(context);
  const { collect, arrays, jobs, openJobs, time } = setting;
  const [unneeded, needed, renewed] = [
    await upload(setting, 1),
    await upload(setting, 2),
    await upload(setting, 3),
  ];
  const others = await upload(setting, 2, 'acme');
  const source = { array: needed, dtype: 'float64', order: 'C' } as const;
  const shape = { rows: 1, cols: 1 };
  const spec = jobSpec({ nowMs: time.nowMs, operands: { A: { shape, source }, W: { shape } } });
  await openJobs.add(spec.tenant, spec.id);
  await jobs.createSpec(spec);
  time.nowMs += (ARRAY_RETENTION_SECONDS - 1) * SECOND;
  await upload(setting, 3);
  time.nowMs += ARRAY_GRACE_SECONDS * SECOND;
  assert.deepEqual(await collect(), NOTHING);
  assert.equal(await arrays.get('default', unneeded), undefined, 'expired');
  time.nowMs += 2 * SECOND;
  assert.deepEqual(await collect(), { ...NOTHING, arrays: 2 });
  assert.equal(await arrays.openForJob('default', unneeded), undefined);
  assert.equal(await arrays.openForJob('acme', others), undefined, 'a job of another tenant is no reason');
  const kept = await arrays.openForJob('default', needed);
  assert.equal(kept?.footer.id, needed, 'still there for its job');
  await kept?.close();
  assert.equal(await arrays.open('default', needed), undefined, 'and for nobody else');
  assert.equal((await arrays.get('default', renewed))?.id, renewed);

  await jobs.putOutcome(spec, cancelledOutcome(time.nowMs, spec));
  await openJobs.remove(spec.tenant, spec.id);
  assert.deepEqual(await collect(), { ...NOTHING, arrays: 1 });
  time.nowMs += ARRAY_RETENTION_SECONDS * SECOND;
  assert.equal((await collect()).arrays, 1, 'the renewed one, too, in its time');
  assert.deepEqual((await setting.store.list('tenants/default/uploads')).length, 0);
});

test('an entry without its array goes when it is old', async context => {
  const setting = await setUp(context);
  const { collect, store, time } = setting;
  const id = await upload(setting, 1);
  await store.delete(`tenants/default/arrays/${id}`);
  time.nowMs += (ARRAY_RETENTION_SECONDS + ARRAY_GRACE_SECONDS + 1) * SECOND;
  assert.deepEqual(await collect(), NOTHING);
  assert.deepEqual(await objects(setting), []);
});

test('old temporaries and probes go, young ones stay', async context => {
  const setting = await setUp(context);
  const { collect, store, root, time } = setting;
  time.nowMs = Date.now();
  for (const name of ['old', 'young']) {
    await store.put(`probes/${name}`, [], { exclusive: false });
    await writeFile(join(root, 'tmp', name), 'what a crashed writer left');
  }
  const before = (time.nowMs - (LEFTOVER_AGE_SECONDS + 1) * SECOND) / SECOND;
  await utimes(join(root, 'objects/probes/old'), before, before);
  await utimes(join(root, 'tmp/old'), before, before);
  assert.deepEqual(await collect(), { ...NOTHING, leftovers: 2 });
  assert.deepEqual(await store.list('probes'), ['young']);
  assert.deepEqual(await readdir(join(root, 'tmp')), ['young']);
});

test('one job that cannot be collected keeps no other; a store that is away ends the pass', async context => {
  const setting = await setUp(context);
  const { collect, store, time } = setting;
  const damaged = await finished(setting, { expiresIn: 60 });
  await finished(setting, { expiresIn: 60 });
  const key = `tenants/default/jobs/${damaged.id.slice(0, 6)}/${damaged.id}/outcome`;
  const outcome = (await store.get(key)) ?? new Uint8Array();
  await store.put(key, [Buffer.from('{')], { exclusive: false });
  time.nowMs += 60 * SECOND;
  assert.deepEqual(await collect(), { ...NOTHING, results: 1, skipped: 1 });
  await store.put(key, [outcome], { exclusive: false });
  assert.deepEqual(await collect(), { ...NOTHING, results: 1 }, 'what was skipped is due at the next pass');
  const away = new Proxy<Store>(store, {
    get: (_target, property) => (property === 'then' ? undefined : () => Promise.reject(new Error('away'))),
  });
  const jobs = new JobStore(away);
  const failing = createCollector({
    ...setting.deps,
    store: away,
    jobs: Object.assign(jobs, { tenants: () => store.list('tenants') }),
  });
  await assert.rejects(failing(), /away/);
});

test('many collectors at once do the work of one', async context => {
  const setting = await setUp(context);
  for (let index = 0; index < 20; index += 1) await finished(setting, { expiresIn: 60 });
  for (let value = 0; value < 20; value += 1) await upload(setting, value);
  setting.time.nowMs += 365 * 24 * 3600 * SECOND;
  const collectors = Array.from({ length: 5 }, () => createCollector(setting.deps)());
  for (const { skipped } of await Promise.all(collectors)) assert.equal(skipped, 0);
  assert.deepEqual(await objects(setting), []);
});

test('passes read only what may be due', async context => {
  const setting = await setUp(context);
  const { jobs, time, deps } = setting;
  await finished(setting, { expiresIn: 7200 });
  let reads = 0;
  const counting = Object.assign(new JobStore(setting.store, deps.clock), {
    readOutcome: (tenant: string, jobId: string) => {
      reads += 1;
      return jobs.readOutcome(tenant, jobId);
    },
  });
  const collect = createCollector({ ...deps, jobs: counting });
  for (let pass = 0; pass < 10; pass += 1) await collect();
  assert.equal(reads, 1);
  time.nowMs += 7200 * SECOND;
  assert.deepEqual(await collect(), { ...NOTHING, results: 1 });
  assert.equal(reads, 2);
});

test('a started collector stops', async context => {
  const { deps } = await setUp(context);
  await startCollector(deps).stop();
});
