import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { ulid } from 'ulid';
import { abandonKey } from '../../../api/jobs/idempotency.ts';
import { submitJob } from '../../../api/jobs/submit.ts';
import { FrechetError } from '../../../shared/errors.ts';
import { claimName } from '../../../shared/io/claims.ts';
import { reconcile } from '../../../shared/io/reconciler.ts';
import { startTestRedis, type TestRedis } from '../../support/redis.ts';
import { endJob, jobIn, postJson, specOf, startGateway, type TestGateway } from '../gateway.ts';
import { assertProblem } from '../problem-assertions.ts';

let redis: TestRedis;
let gateway: TestGateway;

before(async () => {
  redis = await startTestRedis();
  gateway = await startGateway(redis.url);
});
after(async () => {
  await gateway.close();
  await redis.stop();
});

const JOB = { operation: 'value', operands: { A: { data: [[1, 2]] }, W: { data: [[1], [2]] } } };

const submit = (key: string, body: unknown = JOB, headers: Record<string, string> = {}) =>
  postJson(`${gateway.url}/v1/jobs`, body, { 'Idempotency-Key': key, ...headers });

const submission = (digest: string) => ({ body: JOB, digest, parts: new Map() });

async function jobCount(): Promise<number> {
  return (await gateway.storedFiles()).filter(path => path.endsWith('/spec')).length;
}

test('the same key and body is the same job', async () => {
  const first = await submit('same');
  const { id } = await jobIn(first);
  assert.equal(first.headers.get('idempotent-replayed'), null);
  const before = await jobCount();
  const second = await submit('same');
  assert.equal(second.status, 202);
  assert.equal(second.headers.get('idempotent-replayed'), 'true');
  assert.equal(second.headers.get('location'), `/v1/jobs/${id}`);
  assert.equal((await jobIn(second)).id, id);
  assert.equal(await jobCount(), before);
});

test('a replay answers at once, also with Prefer: wait, and for a job that has ended', async () => {
  const { id } = await jobIn(await submit('wait'));
  const started = performance.now();
  const waiting = await submit('wait', JOB, { Prefer: 'wait=30' });
  assert.equal(waiting.status, 202);
  assert.ok(performance.now() - started < 5_000);
  await endJob(gateway, await specOf(gateway, id));
  const ended = await submit('wait', JOB, { Prefer: 'wait=30' });
  assert.equal(ended.status, 202);
  assert.equal((await jobIn(ended)).state, 'succeeded');
});

test('another body under the same key is refused, and leaves nothing', async () => {
  await submit('reused');
  const before = await gateway.storedFiles();
  await assertProblem(await submit('reused', { ...JOB, priority: 1 }), 'idempotency-key-reused');
  assert.deepEqual(await gateway.storedFiles(), before);
});

test('a key is one tenant’s own', async () => {
  const { deps } = gateway;
  const one = await submitJob(deps, 'one', submission('a'), 'shared');
  const two = await submitJob(deps, 'two', submission('b'), 'shared');
  assert.notEqual(one.spec.id, two.spec.id);
});

test('what is refused does not use up its key', async () => {
  await assertProblem(await submit('refused', { operation: 'value' }), 'operand-missing');
  assert.equal((await submit('refused')).status, 202);
});

test('many requests at once with one key make one job; those that do not see it are told to wait', async () => {
  const before = await jobCount();
  const answers = await Promise.all(Array.from({ length: 8 }, () => submit('crowd')));
  for (const answer of answers) assert.ok(answer.status === 202 || answer.status === 409, `${answer.status}`);
  const conflicts = answers.filter(answer => answer.status === 409);
  for (const conflict of conflicts) await assertProblem(conflict, 'idempotency-in-progress');
  assert.equal(await jobCount(), before + 1);
  assert.equal((await submit('crowd')).headers.get('idempotent-replayed'), 'true');
});

test('a claim that a crash left without a job is in progress for a while, and then followed under its id', async () => {
  const { deps, time } = gateway;
  const digest = 'c'.repeat(64);
  const crashing = Object.assign(Object.create(deps.jobs), {
    createSpec: () => Promise.reject(new Error('the process died here')),
  });
  await assert.rejects(
    submitJob({ ...deps, jobs: crashing }, 'default', submission(digest), 'crash'),
    /died/,
  );
  const claim = await deps.claims.read('default', claimName('crash'));
  assert.ok(claim !== undefined);
  const again = () => submitJob(deps, 'default', submission(digest), 'crash');
  await assert.rejects(again(), { code: 'idempotency-in-progress' });
  await assert.rejects(submitJob(deps, 'default', submission('d'), 'crash'), {
    code: 'idempotency-key-reused',
  });
  time.offsetMs += 11_000;
  const results = await Promise.all([again(), again(), again()]);
  assert.deepEqual(
    results.map(job => job.spec.id),
    Array(3).fill(claim.id),
  );
  assert.equal(results.filter(job => !job.isReplay).length, 1);
});

test('after a failure of the store the same request need not wait, and makes the job under the id it was to have', async context => {
  const { deps } = gateway;
  const outage = new FrechetError('unavailable', 'the store does not answer');
  context.mock.method(deps.jobs, 'createSpec', () => Promise.reject(outage), { times: 1 });
  await assertProblem(await submit('outage'), 'unavailable');
  const claim = await deps.claims.read('default', claimName('outage'));
  const again = await submit('outage');
  assert.equal(again.status, 202);
  assert.equal(again.headers.get('idempotent-replayed'), null);
  assert.equal((await jobIn(again)).id, claim?.id);
  assert.equal((await submit('outage')).headers.get('idempotent-replayed'), 'true');
});

test('only the claim of the very work that failed is abandoned', async () => {
  const { deps } = gateway;
  const request = { key: 'other', kind: 'job', bodyDigest: 'f'.repeat(64) } as const;
  const createdAt = new Date(deps.clock()).toISOString();
  const claim = { version: 1, kind: 'job', id: ulid(), bodyDigest: request.bodyDigest, createdAt } as const;
  await deps.claims.put('default', claimName('other'), claim);
  const outage = new FrechetError('unavailable', 'the store does not answer');
  await abandonKey(deps, 'default', request, ulid(), outage);
  assert.deepEqual(await deps.claims.read('default', claimName('other')), claim);
});

test('a key goes with its job', async () => {
  const { id } = await jobIn(await submit('deleted'));
  await endJob(gateway, await specOf(gateway, id));
  assert.equal((await fetch(`${gateway.url}/v1/jobs/${id}`, { method: 'DELETE' })).status, 204);
  const again = await submit('deleted', { ...JOB, priority: 2 });
  assert.equal(again.status, 202);
  assert.notEqual((await jobIn(again)).id, id);
});

test('keys survive the loss of everything in Redis', async () => {
  const { id } = await jobIn(await submit('durable'));
  await gateway.deps.redisCall('FLUSHALL');
  assert.equal((await jobIn(await submit('durable'))).id, id);
});

test('a multipart body is the same whatever its boundary', async () => {
  const send = (boundary: string, array: string) =>
    fetch(`${gateway.url}/v1/jobs`, {
      method: 'POST',
      headers: { 'Content-Type': `multipart/form-data; boundary=${boundary}`, 'Idempotency-Key': 'parts' },
      body: [
        `--${boundary}`,
        'Content-Disposition: form-data; name="job"',
        '',
        JSON.stringify({ ...JOB, operands: { A: { part: 'a' }, W: { data: [[1], [2]] } } }),
        `--${boundary}`,
        'Content-Disposition: form-data; name="a"',
        'Content-Type: application/json',
        '',
        array,
        `--${boundary}--`,
      ].join('\r\n'),
    });
  const { id } = await jobIn(await send('one', '[[1, 2]]'));
  assert.equal((await jobIn(await send('two', '[[1,2]]'))).id, id);
  await assertProblem(await send('one', '[[1, 3]]'), 'idempotency-key-reused');
});

for (const [what, key] of [
  ['empty', ''],
  ['too long', 'x'.repeat(256)],
  ['not visible', 'a b'],
] as const) {
  test(`a key that is ${what} is refused`, async () => {
    await assertProblem(await submit(key), 'http-syntax');
  });
}

test('the longest key works', async () => {
  assert.equal((await submit('x'.repeat(255))).status, 202);
});

test('a job of an old claim keeps its marker, though a reconciler takes it for a leftover meanwhile', async () => {
  const { deps, time } = gateway;
  const crashing = Object.assign(Object.create(deps.jobs), {
    createSpec: () => Promise.reject(new Error('the process died here')),
  });
  const submit = (jobs: typeof deps.jobs) =>
    submitJob({ ...deps, jobs }, 'default', submission('e'.repeat(64)), 'marker');
  await assert.rejects(submit(crashing), /died/);
  time.offsetMs += 120_000;
  // The reconciler looks after the marker was set and before the spec is.
  const createSpec = async (...args: Parameters<typeof deps.jobs.createSpec>) => {
    await reconcile(deps);
    return deps.jobs.createSpec(...args);
  };
  const interrupted = new Proxy(deps.jobs, {
    get(jobs, name) {
      const member: unknown = name === 'createSpec' ? createSpec : Reflect.get(jobs, name);
      return typeof member === 'function' ? member.bind(jobs) : member;
    },
  });
  const { spec } = await submit(interrupted);
  assert.ok((await deps.openJobs.single('default')).includes(spec.id));
});
