import assert from 'node:assert/strict';
import { test } from 'node:test';
import { JobStore } from '../../shared/io/job-store.ts';
import { openFileStore } from '../../shared/io/store/file-store.ts';
import { createKnownJobs } from '../../workers/known-jobs.ts';
import { jobSpec } from '../support/stored-jobs.ts';
import { temporaryFolder } from '../support/temporary.ts';

test('a job is read and planned once, and absent where there is none', async t => {
  const store = await openFileStore(await temporaryFolder(t));
  let reads = 0;
  class CountingJobs extends JobStore {
    override readSpec(...given: Parameters<JobStore['readSpec']>) {
      reads += 1;
      return super.readSpec(...given);
    }
  }
  const jobs = new CountingJobs(store);
  const known = createKnownJobs(jobs);
  const spec = jobSpec({ members: 3 });
  assert.equal(await known.get(spec.tenant, spec.id), undefined);
  await jobs.createSpec(spec);
  const job = await known.get(spec.tenant, spec.id);
  assert.deepEqual(job?.spec, spec, 'an absent job is asked for again');
  assert.equal(job?.plan.blocksTotal, 3);
  assert.equal(await known.get(spec.tenant, spec.id), job);
  assert.equal(reads, 2);
  assert.equal(await known.get('another', spec.id), undefined, 'tenants see nothing of each other');
});

test('a deleted job is forgotten', async t => {
  const jobs = new JobStore(await openFileStore(await temporaryFolder(t)));
  const known = createKnownJobs(jobs);
  const spec = jobSpec();
  await jobs.createSpec(spec);
  assert.ok(await known.get(spec.tenant, spec.id));
  await jobs.deleteJob(spec.tenant, spec.id);
  assert.equal(await known.get(spec.tenant, spec.id), undefined);
});

test('a spec that this version cannot plan ends no worker', async t => {
  const jobs = new JobStore(await openFileStore(await temporaryFolder(t)));
  const spec = jobSpec({ operation: 'hessian' as never });
  await jobs.createSpec(spec);
  await assert.rejects(createKnownJobs(jobs).get(spec.tenant, spec.id), { code: 'unavailable' });
});

test('only the jobs of late are remembered', async t => {
  const specs = Array.from({ length: 257 }, () => jobSpec());
  class JobsInMemory extends JobStore {
    override readSpec = async (_tenant: string, id: string) => specs.find(spec => spec.id === id);
    override hasSpec = async () => true;
  }
  const known = createKnownJobs(new JobsInMemory(await openFileStore(await temporaryFolder(t))));
  const get = (index: number) => known.get(specs[index]!.tenant, specs[index]!.id);
  const [first, second] = [await get(0), await get(1)];
  for (let index = 2; index < 256; index++) await get(index);
  assert.equal(await get(0), first, 'asking keeps it');
  await get(256);
  assert.equal(await get(0), first);
  assert.notEqual(await get(1), second, 'the one asked for longest ago went');
});
