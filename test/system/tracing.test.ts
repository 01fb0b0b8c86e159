// A client's trace goes through the gateway and the queue to the block, where an operator brings an SDK; and nothing of
// it is there where nobody does.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { REPOSITORY_ROOT } from '../../deploy/local/root.ts';
import { createClient, inline } from '../support/client.ts';
import { integers } from '../support/integers.ts';
import { startStack } from '../support/processes.ts';
import { temporaryFolder } from '../support/temporary.ts';
import type { RecordedSpan } from '../support/tracing-sdk.ts';

const SDK = pathToFileURL(join(REPOSITORY_ROOT, 'dist/test/support/tracing-sdk.js')).href;
const TRACE_ID = '0af7651916cd43dd8448eb211c80319c';
const SETTINGS = { FRECHET_KERNEL: 'reference', FRECHET_THREADS: '1', FRECHET_MEMORY_BYTES: '64MiB' };
const SECRET_VALUE = 123_456_789;

async function untilSpans(file: string, hold: (spans: readonly RecordedSpan[]) => boolean) {
  for (let attempt = 0; ; attempt += 1) {
    const text = await readFile(file, 'utf8').catch(() => '');
    const spans = text
      .split('\n')
      .filter(line => line !== '')
      .map(line => JSON.parse(line) as RecordedSpan)
      .filter(({ traceId }) => traceId === TRACE_ID);
    if (hold(spans)) return spans;
    assert.ok(attempt < 100, `only ${spans.map(({ name }) => name).join(', ')}`);
    await sleep(100);
  }
}

test('with an SDK a trace leads from the request to the block, in another process, and into the log', async context => {
  const file = join(await temporaryFolder(context), 'spans');
  const env = { ...SETTINGS, NODE_OPTIONS: `--import=${SDK}`, FRECHET_TEST_SPANS: file };
  const stack = await startStack({ env });
  context.after(() => stack.stop());
  const client = createClient(stack.url);
  const { id } = await client.submit(
    {
      operation: 'jvp',
      operands: { A: { data: [[SECRET_VALUE]] } },
      direction: inline(integers(1, 1, 2)),
    },
    { Prefer: 'wait=30', traceparent: `00-${TRACE_ID}-b7ad6b7169203331-01` },
  );
  const pids = new Set([stack.gateway.pid, stack.workers[0]!.pid]);
  const spans = await untilSpans(file, found => new Set(found.map(({ pid }) => pid)).size === pids.size);

  const request = spans.find(({ name }) => name === 'POST /v1/jobs');
  assert.ok(request !== undefined, spans.map(({ name }) => name).join(', '));
  assert.equal(request.parentId, 'b7ad6b7169203331');
  assert.equal(request.attributes['http.route'], '/v1/jobs');
  const inWorker = spans.filter(({ pid }) => pid === stack.workers[0]!.pid);
  assert.ok(
    inWorker.some(({ attributes }) => JSON.stringify(attributes).includes(`${id}-b0`)),
    'the block is named',
  );
  const known = new Set(spans.map(({ spanId }) => spanId));
  for (const { name, parentId } of inWorker)
    assert.ok(known.has(parentId ?? ''), `${name} has its parent in the trace`);
  assert.doesNotMatch(JSON.stringify(spans), new RegExp(String(SECRET_VALUE)), 'no array values');
  const line = (await stack.readLog()).split('\n').find(each => each.includes('"route":"/v1/jobs"'));
  assert.match(line ?? '', new RegExp(`"traceId":"${TRACE_ID}"`));
});

test('without an SDK nothing of a trace is logged or queued', async context => {
  const stack = await startStack({ env: SETTINGS });
  context.after(() => stack.stop());
  const client = createClient(stack.url);
  const job = {
    operation: 'jvp',
    operands: { A: inline(integers(1, 1, 1)) },
    direction: inline(integers(1, 1, 2)),
  };
  const submitted = await client.submit(job, { traceparent: `00-${TRACE_ID}-b7ad6b7169203331-01` });
  await client.until(submitted.id);
  assert.doesNotMatch(await stack.readLog(), /traceId/);
});
