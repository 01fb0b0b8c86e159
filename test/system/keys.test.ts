// Keys through real processes: a batch of one tenant, and a key file that changes.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { BatchDocument, LineDocument } from '../../api/batches/read.ts';
import { type Stack, startStack } from '../support/processes.ts';

const END_MS_MAX = 120_000;
const KEY_READ_MS_MAX = 10_000;

let folder: string;
let keyFile: string;
let stack: Stack;

const entry = (tenant: string, key: string) => ({
  tenant,
  sha256: createHash('sha256').update(key).digest('hex'),
});

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'frechet-keys-'));
  keyFile = join(folder, 'keys.json');
  await writeFile(keyFile, JSON.stringify([entry('acme', 'first')]));
  stack = await startStack({ env: { FRECHET_API_KEYS_FILE: keyFile, FRECHET_THREADS: '1' } });
});
after(async () => {
  await stack.stop();
  await rm(folder, { recursive: true, force: true });
});

const ask = (path: string, key: string, init: RequestInit = {}) =>
  fetch(stack.url + path, { ...init, headers: { Authorization: `Bearer ${key}`, ...init.headers } });

const sendBatch = async (lines: readonly string[]) => {
  const response = await ask('/v1/batches', 'first', {
    method: 'POST',
    headers: { 'Content-Type': 'application/x-ndjson' },
    body: lines.join('\n'),
  });
  const batch = (await response.json()) as BatchDocument;
  assert.equal(response.status, 202, JSON.stringify(batch));
  return batch;
};

async function ended({ links }: BatchDocument): Promise<BatchDocument> {
  const deadline = Date.now() + END_MS_MAX;
  for (;;) {
    const batch = (await (await ask(links.self, 'first')).json()) as BatchDocument;
    if (batch.finishedAt !== null) return batch;
    assert.ok(Date.now() < deadline, JSON.stringify(batch.counts));
    await sleep(100);
  }
}

/** (k 2)·(3 4)ᵀ, a 1×1 result that says which line it is of. */
const line = (k: number) =>
  JSON.stringify({
    operation: 'value',
    customId: `job-${k}`,
    operands: { A: { data: [[k, 2]] }, W: { data: [[3], [4]] } },
  });

test('every line gets its own result, bad ones their problem', async () => {
  const lines = Array.from({ length: 20 }, (_, k) => (k === 10 ? '{"operation":"value"' : line(k)));
  const batch = await ended(await sendBatch(lines));
  assert.deepEqual(batch.counts, {
    queued: 0,
    running: 0,
    succeeded: 19,
    failed: 0,
    cancelled: 0,
    rejected: 1,
  });
  const text = await (await ask(batch.links.jobs, 'first')).text();
  const documents = text
    .trimEnd()
    .split('\n')
    .map(one => JSON.parse(one) as LineDocument);
  assert.equal(documents.length, 20);
  for (const k of [0, 9, 11, 19]) {
    const { customId, line: number, job } = documents[k]!;
    assert.deepEqual([customId, number, job?.state], [`job-${k}`, k + 1, 'succeeded']);
    const result = await ask(job!.links.result, 'first', { headers: { Accept: 'application/json' } });
    assert.deepEqual(await result.json(), [[3 * k + 8]]);
  }
  assert.equal(documents[10]?.error?.type, 'urn:frechet:problem:json-syntax');
});

test('keys change without a restart', async () => {
  assert.equal((await ask('/v1/jobs', 'second')).status, 401);
  await writeFile(keyFile, JSON.stringify([entry('zeta', 'second')]));
  const deadline = Date.now() + KEY_READ_MS_MAX;
  while ((await ask('/v1/jobs', 'second')).status !== 200) {
    assert.ok(Date.now() < deadline, 'the file is read again');
    await sleep(100);
  }
  assert.equal((await ask('/v1/jobs', 'first')).status, 401);
  const { data } = (await (await ask('/v1/jobs', 'second')).json()) as { data: unknown[] };
  assert.deepEqual(data, [], 'another tenant');
});
