// Clients that try again: an idempotency key makes one job of many attempts, over crashes and between gateways; keys of
// tenants hold while real workers compute for both.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { assertProblem } from '../api/problem-assertions.ts';
import { createClient, inline, type JobDocument } from '../support/client.ts';
import { integers, product } from '../support/integers.ts';
import { startStack } from '../support/processes.ts';
import { assertResult } from '../support/result-assertions.ts';
import { temporaryFolder } from '../support/temporary.ts';

const SMALL = { FRECHET_THREADS: '1', FRECHET_MEMORY_BYTES: '128MiB' };
const [A, H] = [integers(6, 5, 1), integers(5, 4, 2)];
const JOB = { operation: 'jvp', operands: { A: inline(A) }, direction: inline(H) };
const JSON_TYPE = { 'Content-Type': 'application/json' };

test('a client that repeats its request until it is answered gets one job, though the gateway is killed', async context => {
  const stack = await startStack({ env: SMALL });
  context.after(() => stack.stop());
  const client = createClient(stack.url);
  const headers = { ...JSON_TYPE, 'Idempotency-Key': 'once-and-only-once' };
  /** As a client should: again and again, with the same key and body. */
  const persist = async (): Promise<string> => {
    for (;;) {
      const response = await client.post('/v1/jobs', JSON.stringify(JOB), headers).catch(() => undefined);
      if (response?.ok) return ((await response.json()) as JobDocument).id;
      if (response !== undefined) assert.ok([409, 503].includes(response.status), `${response.status}`);
      await sleep(50);
    }
  };
  const clients = Array.from({ length: 8 }, persist);
  await Promise.race(clients);
  process.kill(stack.gateway.pid, 'SIGKILL');
  const ids = new Set(await Promise.all([...clients, persist(), persist()]));
  assert.equal(ids.size, 1);
  const [id = ''] = ids;
  assert.equal((await client.until(id)).state, 'succeeded');
  await assertResult(client, id, product(A, H));
  const listed = (await (await client.get('/v1/jobs')).json()) as { data: JobDocument[] };
  assert.deepEqual(
    listed.data.map(job => job.id),
    [id],
  );
  const replay = await client.post('/v1/jobs', JSON.stringify(JOB), { ...headers, Prefer: 'wait=30' });
  assert.equal(replay.status, 202);
  assert.equal(replay.headers.get('idempotent-replayed'), 'true');
  const other = await client.post('/v1/jobs', JSON.stringify({ ...JOB, priority: 1 }), headers);
  await assertProblem(other, 'idempotency-key-reused');
});

test('two tenants compute the same job: each sees its own, and nothing of the other', async context => {
  const keysFile = join(await temporaryFolder(context), 'keys.json');
  const entry = (tenant: string) => ({
    tenant,
    sha256: createHash('sha256').update(`key-of-${tenant}`).digest('hex'),
  });
  await writeFile(keysFile, JSON.stringify([entry('acme'), entry('globex')]));
  const stack = await startStack({ env: { ...SMALL, FRECHET_API_KEYS_FILE: keysFile } });
  context.after(() => stack.stop());
  const client = createClient(stack.url);
  const keyOf = (tenant: string) => ({ Authorization: `Bearer key-of-${tenant}` });
  const submit = async (tenant: string) => {
    const headers = { ...JSON_TYPE, Prefer: 'wait=30', ...keyOf(tenant) };
    const response = await client.post('/v1/jobs', JSON.stringify(JOB), headers);
    return (await response.json()) as JobDocument;
  };
  const [acme, globex] = [await submit('acme'), await submit('globex')];
  assert.deepEqual([acme.state, globex.state], ['succeeded', 'succeeded']);
  assert.equal(acme.result?.digest, globex.result?.digest);
  for (const path of ['', '/result', '/result/blocks', '/events']) {
    assert.equal((await client.get(`/v1/jobs/${acme.id}${path}`, keyOf('acme'))).status, 200);
    await assertProblem(await client.get(`/v1/jobs/${acme.id}${path}`, keyOf('globex')), 'not-found');
    await assertProblem(await client.get(`/v1/jobs/${acme.id}${path}`), 'unauthorized');
    await assertProblem(await client.get(`/v1/jobs/${acme.id}${path}`, keyOf('nobody')), 'unauthorized');
  }
  assert.ok(!(await stack.readLog()).includes('key-of'), 'no key is logged');
});
