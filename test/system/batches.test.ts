// A batch over real workers: every line is computed or told what is wrong with it, also when the gateway dies meanwhile.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Client, createClient, inline, type JobDocument } from '../support/client.ts';
import { integers, product } from '../support/integers.ts';
import { type Stack, startStack } from '../support/processes.ts';
import { assertResult } from '../support/result-assertions.ts';

const A = integers(6, 5, 1);
const NDJSON = { 'Content-Type': 'application/x-ndjson' };

let stack: Stack;
let client: Client;
before(async () => {
  stack = await startStack({ env: { FRECHET_THREADS: '1', FRECHET_MEMORY_BYTES: '128MiB' } });
  client = createClient(stack.url);
});
after(() => stack.stop());

interface Batch {
  readonly id: string;
  readonly total: number;
  readonly counts: Readonly<
    Record<'queued' | 'running' | 'succeeded' | 'failed' | 'cancelled' | 'rejected', number>
  >;
}

interface Line {
  readonly customId: string | null;
  readonly line: number;
  readonly job?: JobDocument;
  readonly error?: { readonly type: string };
}

function jobLine(seed: number): string {
  const direction = inline(integers(5, 3, seed));
  return JSON.stringify({
    customId: `seed-${seed}`,
    operation: 'jvp',
    operands: { A: inline(A) },
    direction,
  });
}

async function submit(lines: readonly string[]): Promise<Batch> {
  const response = await client.post('/v1/batches', lines.join('\n'), NDJSON);
  assert.equal(response.status, 202, await response.clone().text());
  return (await response.json()) as Batch;
}

/** Until nothing of the batch is unfinished, over interruptions. */
async function untilEnded(id: string): Promise<Batch> {
  const deadline = Date.now() + 120_000;
  for (;;) {
    const batch = await client
      .get(`/v1/batches/${id}`)
      .then(async response => (response.ok ? ((await response.json()) as Batch) : undefined))
      .catch(() => undefined);
    if (batch !== undefined && batch.counts.queued + batch.counts.running === 0) return batch;
    assert.ok(Date.now() < deadline, `still ${JSON.stringify(batch?.counts)}`);
    await sleep(50);
  }
}

async function readLines(id: string): Promise<Line[]> {
  const response = await client.get(`/v1/batches/${id}/jobs`);
  assert.equal(response.status, 200);
  assert.equal(response.headers.get('content-type'), 'application/x-ndjson');
  const text = await response.text();
  return text
    .trimEnd()
    .split('\n')
    .map(line => JSON.parse(line) as Line);
}

test('good lines are computed, bad ones are rejected with their problem, blank ones are skipped', async () => {
  const bad = ['{"operation":', '{"operation":"curl"}', '{"customId":"lost","operation":"jvp"}'];
  const lines = [jobLine(1), bad[0] ?? '', '', jobLine(2), bad[1] ?? '', jobLine(3), '  ', bad[2] ?? ''];
  const submitted = await submit(lines);
  assert.equal(submitted.total, 6);
  assert.equal(submitted.counts.rejected, 3);
  const ended = await untilEnded(submitted.id);
  const counts = { queued: 0, running: 0, succeeded: 3, failed: 0, cancelled: 0, rejected: 3 };
  assert.deepEqual(ended.counts, counts);
  const answered = await readLines(submitted.id);
  const numbers = answered.map(({ line }) => line);
  assert.deepEqual(numbers, [1, 2, 4, 5, 6, 8], 'as an editor counts them');
  const problem = (slug: string) => `urn:frechet:problem:${slug}`;
  assert.deepEqual(
    answered.map(({ customId, job, error }) => [customId, error?.type ?? job?.state]),
    [
      ['seed-1', 'succeeded'],
      [null, problem('json-syntax')],
      ['seed-2', 'succeeded'],
      [null, problem('schema')],
      ['seed-3', 'succeeded'],
      ['lost', problem('schema')],
    ],
  );
  for (const [position, seed] of [
    [0, 1],
    [2, 2],
    [4, 3],
  ] as const) {
    await assertResult(client, answered[position]?.job?.id ?? '', product(A, integers(5, 3, seed)));
  }
});

test('a batch whose gateway is killed right after its answer is computed to the last line', async () => {
  const seeds = Array.from({ length: 300 }, (_, seed) => seed);
  const { id, total } = await submit(seeds.map(jobLine));
  process.kill(stack.gateway.pid, 'SIGKILL');
  assert.equal(total, seeds.length);
  const ended = await untilEnded(id);
  assert.equal(ended.counts.succeeded, seeds.length, JSON.stringify(ended.counts));
  const lines = await readLines(id);
  assert.deepEqual(
    lines.map(line => line.customId),
    seeds.map(seed => `seed-${seed}`),
  );
  for (const seed of [0, 149, 299]) {
    await assertResult(client, lines[seed]?.job?.id ?? '', product(A, integers(5, 3, seed)));
  }
});

test('a cancelled batch ends: what was not computed never is', async () => {
  // The worker stands still, or it might have computed everything before it can be cancelled.
  const { pid } = stack.workers[0]!;
  process.kill(pid, 'SIGSTOP');
  let id: string;
  try {
    ({ id } = await submit(Array.from({ length: 400 }, (_, seed) => jobLine(seed))));
    const response = await client.post(`/v1/batches/${id}/cancel`, '');
    assert.equal(response.status, 200);
  } finally {
    process.kill(pid, 'SIGCONT');
  }
  const { counts, total } = await untilEnded(id);
  assert.equal(counts.cancelled, total, 'the worker writes over nobody’s end');
  await client.compute({
    operation: 'jvp',
    operands: { A: inline(A) },
    direction: inline(integers(5, 3, 7)),
  });
  const after = await untilEnded(id);
  assert.deepEqual(after.counts, counts, 'final states stay');
});
