import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { ulid } from 'ulid';
import type { JobDocument } from '../../../api/jobs/job-document.ts';
import { listJobs } from '../../../api/jobs/list.ts';
import type { Page } from '../../../shared/io/array-store.ts';
import { startTestRedis, type TestRedis } from '../../support/redis.ts';
import { longestTurn } from '../../support/turns.ts';
import { endJob, jobIn, postJson, specOf, startGateway, type TestGateway } from '../gateway.ts';
import { assertProblem } from '../problem-assertions.ts';

let redis: TestRedis;
let gateway: TestGateway;
/** Oldest first. */
const ids: string[] = [];

before(async () => {
  redis = await startTestRedis();
  gateway = await startGateway(redis.url);
  for (let index = 0; index < 7; index += 1) {
    const labels = { parity: index % 2 === 0 ? 'even' : 'odd', 'a:b': `c:${index}` };
    const body = { operation: 'value', operands: { A: { data: 2 }, W: { data: index } }, labels };
    ids.push((await jobIn(await postJson(`${gateway.url}/v1/jobs`, body))).id);
  }
  for (const index of [0, 3, 4]) await endJob(gateway, await specOf(gateway, ids[index] ?? ''));
  await gateway.deps.live.noteStarted(ids[5] ?? '', Date.now());
});
after(async () => {
  await gateway.close();
  await redis.stop();
});

async function page(query: string): Promise<Page<JobDocument>> {
  const response = await fetch(`${gateway.url}/v1/jobs${query}`);
  assert.equal(response.status, 200);
  return (await response.json()) as Page<JobDocument>;
}

/** Indexes of the jobs on all pages, in order. */
async function listed(query: string): Promise<number[]> {
  const found: number[] = [];
  for (let cursor = ''; ; ) {
    const { data, nextCursor } = await page(`${query}${cursor}`);
    found.push(...data.map(({ id }) => ids.indexOf(id)));
    if (nextCursor === null) return found;
    cursor = `&cursor=${nextCursor}`;
  }
}

test('all jobs are listed, newest first, as the documents that reading them gives', async () => {
  const { data, nextCursor } = await page('');
  assert.deepEqual(
    data.map(({ id }) => id),
    ids.toReversed(),
  );
  assert.equal(nextCursor, null);
  const first = await jobIn(await fetch(`${gateway.url}/v1/jobs/${ids[6]}`));
  assert.deepEqual(data[0], first);
});

for (const limit of [1, 2, 3, 7, 500]) {
  test(`pages of ${limit} give every job once`, async () => {
    assert.deepEqual(await listed(`?limit=${limit}`), [6, 5, 4, 3, 2, 1, 0]);
  });
}

const FILTERS: Record<string, number[]> = {
  'state=queued': [6, 2, 1],
  'state=running': [5],
  'state=succeeded': [4, 3, 0],
  'state=failed': [],
  'state=cancelled': [],
  'label=parity:odd': [5, 3, 1],
  'label=parity:even&state=succeeded': [4, 0],
  'label=a:b:c:2': [2],
  'label=parity:': [],
};

for (const [filter, expected] of Object.entries(FILTERS)) {
  test(`${filter} finds its jobs, on one page or on many`, async () => {
    assert.deepEqual(await listed(`?${filter}`), expected);
    assert.deepEqual(await listed(`?${filter}&limit=1`), expected);
  });
}

test('an empty listing is an empty page', async () => {
  const lonely = await startGateway(redis.url);
  const response = await fetch(`${lonely.url}/v1/jobs`);
  assert.deepEqual(await response.json(), { data: [], nextCursor: null });
  await lonely.close();
});

for (const query of [
  'limit=0',
  'limit=501',
  'limit=x',
  'state=done',
  'state=queued&state=running',
  'label=plain',
  'cursor=abc',
  'cursor=..%2F..%2Fx',
]) {
  test(`query-invalid: ?${query}`, async () => {
    await assertProblem(await fetch(`${gateway.url}/v1/jobs?${query}`), 'query-invalid');
  });
}

test('a page ends after so many jobs, whether or not they matched', async () => {
  const everything = Array.from({ length: 2_003 }, (_, index) => ulid(index)).reverse();
  async function* jobIds(_tenant: string, before?: string): AsyncGenerator<string> {
    yield* everything.filter(id => before === undefined || id < before);
  }
  // Half deleted, all of them: ids without a spec.
  const jobs = Object.assign(Object.create(gateway.deps.jobs), { jobIds, readSpec: async () => undefined });
  const first = await listJobs({ ...gateway.deps, jobs }, 'default', { limit: 10 });
  assert.deepEqual(first, { data: [], nextCursor: everything[1_999] });
  const second = await listJobs({ ...gateway.deps, jobs }, 'default', {
    limit: 10,
    cursor: everything[1_999],
  });
  assert.deepEqual(second, { data: [], nextCursor: null });
});

test('a page of jobs that take long to describe leaves turns for others', async () => {
  const busy = await startGateway(redis.url);
  const operands = { W: { data: [[1, 2]] }, A: { data: [[1], [2]] } };
  const line = JSON.stringify({ operation: 'value', expression: `W${'*A*W'.repeat(120)}`, operands });
  const headers = { 'Content-Type': 'application/x-ndjson' };
  const body = Array(12).fill(line).join('\n');
  assert.equal((await fetch(`${busy.url}/v1/batches`, { method: 'POST', headers, body })).status, 202);
  const { longestMs, totalMs } = await longestTurn(async () => {
    assert.equal((await listJobs(busy.deps, 'default', { limit: 12 })).data.length, 12);
  });
  await busy.close();
  assert.ok(longestMs < totalMs / 3, `${longestMs} of ${totalMs} ms in one turn`);
});
