// Keys over HTTP: who is let in, who sees what, and how often.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, test } from 'node:test';
import { gatewayRoutes } from '../../../api/app.ts';
import { parseTenants } from '../../../api/auth/tenants.ts';
import { startTestRedis, type TestRedis } from '../../support/redis.ts';
import { jobIn, startGateway, type TestGateway } from '../gateway.ts';
import { assertProblem } from '../problem-assertions.ts';

let redis: TestRedis;
let gateway: TestGateway;

const entry = (tenant: string, limits?: object) => ({
  tenant,
  sha256: createHash('sha256').update(`key-of-${tenant}`).digest('hex'),
  ...(limits && { limits }),
});

before(async () => {
  redis = await startTestRedis();
  const entries = [
    entry('own'),
    entry('other'),
    entry('slow', { requestsPerMinute: 3 }),
    entry('small', { storedBytes: 64 }),
    entry('parts', { storedBytes: 100 }),
  ];
  gateway = await startGateway(redis.url, parseTenants(JSON.stringify(entries)));
});
after(async () => {
  await gateway.close();
  await redis.stop();
});

const as = (tenant: string, path: string, init: RequestInit = {}) =>
  fetch(`${gateway.url}${path}`, {
    ...init,
    headers: { Authorization: `Bearer key-of-${tenant}`, ...init.headers },
  });

const post = (tenant: string, path: string, body: unknown) =>
  as(tenant, path, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(body),
  });

const JOB = { operation: 'value', operands: { A: { data: [[1, 2]] }, W: { data: [[1], [2]] } } };

const ABSENT: Readonly<Record<string, string>> = {
  jobId: '01JE0000000000000000000000',
  arrayId: 'f'.repeat(64),
  batchId: '01JE0000000000000000000000',
  index: '0',
};

const at = (path: string, ids: Readonly<Record<string, string>>) =>
  path.replaceAll(/\{(\w+)\}/g, (_match, name: string) => ids[name] ?? '');

test('without a known key there is nothing but probes and the description of the API', async () => {
  for (const { method, path, isOpen } of gatewayRoutes(gateway.deps)) {
    const url = `${gateway.url}${at(path, ABSENT)}`;
    for (const headers of [{}, { Authorization: 'Bearer wrong' }] as Record<string, string>[]) {
      const response = await fetch(url, { method, headers, redirect: 'manual' });
      if (isOpen) {
        assert.ok(response.status < 400, `${method} ${path} is open`);
        await response.arrayBuffer();
      } else {
        assert.equal(response.headers.get('www-authenticate'), 'Bearer');
        await assertProblem(response, 'unauthorized');
      }
    }
  }
});

test('an unknown path tells strangers nothing, not even that it is unknown', async () => {
  await assertProblem(await fetch(`${gateway.url}/v1/nothing`), 'unauthorized');
  await assertProblem(await as('own', '/v1/nothing'), 'not-found');
});

/** Everything of an answer but what every answer has anew: the request's id and the time. */
async function answerOf(response: Response) {
  const text = (await response.text()).replace(/"instance":"[^"]*"/, '');
  const headers = [...response.headers].filter(([name]) => !['x-request-id', 'date'].includes(name));
  return { status: response.status, headers, text };
}

test('what is another tenant’s and what is nowhere are answered alike, on every route and method', async () => {
  const array = (await (await post('other', '/v1/arrays', [[1, 2]])).json()) as { id: string };
  const job = await jobIn(await post('other', '/v1/jobs', JOB));
  const batch = await as('other', '/v1/batches', {
    method: 'POST',
    headers: { 'Content-Type': 'application/x-ndjson' },
    body: JSON.stringify(JOB),
  });
  const { id: batchId } = (await batch.json()) as { id: string };
  const theirs = { ...ABSENT, jobId: job.id, arrayId: array.id, batchId };
  const { paths } = (await (await fetch(`${gateway.url}/openapi.json`)).json()) as {
    paths: Record<string, Record<string, object>>;
  };
  const named = Object.entries(paths).filter(([path]) => path.includes('{'));
  assert.ok(named.length >= 10, `${named.length} paths`);
  for (const [path, operations] of named) {
    for (const method of ['GET', 'HEAD', 'OPTIONS', 'PUT', 'PATCH', 'POST', 'DELETE']) {
      const [other, unknown] = await Promise.all(
        [theirs, ABSENT].map(async ids => answerOf(await as('own', at(path, ids), { method }))),
      );
      assert.deepEqual(other, unknown, `${method} ${path}`);
      const isThere = Object.hasOwn(operations, method === 'HEAD' ? 'get' : method.toLowerCase());
      assert.equal(other?.status, isThere ? 404 : 405, `${method} ${path}`);
    }
  }
  // Nothing happened to it, and whoever owns it finds it on each of these routes: the other answers were not about the route.
  const changesLast = named
    .flatMap(([path, operations]) =>
      Object.keys(operations).map(method => ({ path, method: method.toUpperCase() })),
    )
    .sort(
      (a, b) => Number(a.method !== 'GET') - Number(b.method !== 'GET') || b.method.localeCompare(a.method),
    );
  for (const { path, method } of changesLast) {
    const found = await as('other', at(path, theirs), { method, signal: AbortSignal.timeout(10_000) });
    const isBlock = path.endsWith('/{index}');
    assert.equal(found.status === 404, isBlock, `${method} ${path} ${found.status}`);
    await found.body?.cancel();
  }
});

test('listings hold one’s own', async () => {
  await post('other', '/v1/arrays', [[1, 2]]);
  await post('other', '/v1/jobs', JOB);
  for (const path of ['/v1/arrays', '/v1/jobs']) {
    const list = async (tenant: string) =>
      ((await (await as(tenant, path)).json()) as { data: unknown[] }).data.length;
    assert.equal(await list('own'), 0);
    assert.ok((await list('other')) > 0);
  }
});

test('an array of another tenant cannot be used as an operand', async () => {
  const { id } = (await (await post('other', '/v1/arrays', [[1, 2]])).json()) as { id: string };
  const body = { ...JOB, operands: { ...JOB.operands, A: id } };
  await assertProblem(await post('own', '/v1/jobs', body), 'operand-unknown');
  assert.equal((await post('other', '/v1/jobs', body)).status, 202);
});

test('a tenant over its requests a minute is told when to come again; others are not held up', async () => {
  for (let request = 0; request < 3; request++) assert.equal((await as('slow', '/v1/jobs')).status, 200);
  const refused = await as('slow', '/v1/jobs');
  const { limit, requested } = await assertProblem(refused, 'too-many-requests');
  assert.deepEqual([limit, requested], [3, 4]);
  const seconds = Number(refused.headers.get('retry-after'));
  assert.ok(seconds >= 1 && seconds <= 60);
  assert.equal((await as('own', '/v1/jobs')).status, 200);
  assert.equal((await fetch(`${gateway.url}/livez`)).status, 200);
});

test('a tenant over its bytes is refused before its data are read; deleting makes room', async () => {
  const upload = (rows: number[][]) => post('small', '/v1/arrays', rows);
  const first = await upload([[1, 2, 3, 4]]);
  const { id } = (await first.json()) as { id: string };
  await upload([[5, 6, 7, 8]]);
  const { limit, requested } = await assertProblem(await upload([[9]]), 'too-many-requests');
  assert.deepEqual([limit, requested], [64, 72]);
  assert.equal((await as('small', `/v1/arrays/${id}`, { method: 'DELETE' })).status, 204);
  assert.equal((await upload([[9]])).status, 201);
  // What was there already takes no more room.
  assert.equal((await upload([[9]])).status, 200);
  assert.equal((await upload([[1, 2, 3]])).status, 201);
  await assertProblem(await upload([[1, 2, 3, 4]]), 'too-many-requests');
});

test('arrays sent with a job are counted as they come, and once', async () => {
  const JOB = { operation: 'jvp', operands: { A: { part: 'A' } }, direction: { part: 'H' } };
  const send = (path: string, A: number[][]) => {
    const body = new FormData();
    for (const [name, document] of Object.entries({ A, H: [[1], [1]], job: JOB }))
      body.append(name, new Blob([JSON.stringify(document)], { type: 'application/json' }));
    return as('parts', path, { method: 'POST', body });
  };
  const stored = () => gateway.deps.live.storedBytes('parts');
  // Two arrays of 16 bytes each, and a result of 8.
  assert.equal((await send('/v1/jobs', [[1, 2]])).status, 202);
  assert.equal(await stored(), 40);
  // The second time only the result is new, and a plan keeps nothing.
  assert.equal((await send('/v1/jobs', [[1, 2]])).status, 202);
  assert.equal(await stored(), 48);
  const filesBefore = await gateway.storedFiles();
  assert.equal((await send('/v1/plan', [[3, 4]])).status, 200);
  for (const path of ['/v1/jobs', '/v1/plan']) {
    await assertProblem(await send(path, [[1, 2, 3]]), 'shape-mismatch');
    const { limit, requested } = await assertProblem(
      await send(path, [[1, 2, 3, 4, 5, 6, 7]]),
      'too-many-requests',
    );
    assert.deepEqual([limit, requested], [100, 104]);
  }
  assert.equal(await stored(), 48);
  assert.deepEqual(await gateway.storedFiles(), filesBefore);
});

test('no key is ever logged', async () => {
  await as('own', '/v1/jobs');
  assert.doesNotMatch(JSON.stringify(gateway.lines), /key-of-/);
});
