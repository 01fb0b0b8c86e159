import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createOpenJobs, type OpenJob } from '../../../shared/io/open-jobs.ts';
import { openFileStore } from '../../../shared/io/store/file-store.ts';
import { temporaryFolder } from '../../support/temporary.ts';

async function collect(jobs: AsyncIterable<OpenJob>): Promise<OpenJob[]> {
  const found: OpenJob[] = [];
  for await (const job of jobs) found.push(job);
  return found;
}

test('markers are listed per tenant and over all, until they are removed', async context => {
  const openJobs = createOpenJobs(await openFileStore(await temporaryFolder(context)));
  assert.deepEqual(await collect(openJobs.all()), []);
  assert.deepEqual(await openJobs.newestFirst('acme'), []);
  for (const jobId of ['01B', '01A', '01C']) await openJobs.add('acme', jobId);
  await openJobs.add('zebra', '01A');
  assert.deepEqual(await openJobs.newestFirst('acme'), ['01C', '01B', '01A']);
  assert.deepEqual(await openJobs.newestFirst('acme', '01C'), ['01B', '01A']);
  assert.deepEqual(await collect(openJobs.all()), [
    { tenant: 'acme', jobId: '01A' },
    { tenant: 'acme', jobId: '01B' },
    { tenant: 'acme', jobId: '01C' },
    { tenant: 'zebra', jobId: '01A' },
  ]);
  await openJobs.remove('acme', '01B');
  assert.deepEqual(await openJobs.newestFirst('acme'), ['01C', '01A']);
});

test('adding and removing may be repeated', async context => {
  const openJobs = createOpenJobs(await openFileStore(await temporaryFolder(context)));
  await openJobs.add('acme', '01A');
  await openJobs.add('acme', '01A');
  assert.deepEqual(await openJobs.newestFirst('acme'), ['01A']);
  await openJobs.remove('acme', '01A');
  await openJobs.remove('acme', '01A');
  assert.deepEqual(await openJobs.newestFirst('acme'), []);
});
