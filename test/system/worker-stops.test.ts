// Workers that are asked to stop in the middle of a job, and clients that go away in the middle of an upload.

import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { request as httpRequest } from 'node:http';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createClient } from '../support/client.ts';
import { encodeNpy } from '../support/npy.ts';
import { assertOuterProduct, OUTER_BLOCKS, outerProductJob } from '../support/outer-product.ts';
import { type Stack, startStack } from '../support/processes.ts';

const SLOW = { FRECHET_KERNEL: 'reference', FRECHET_THREADS: '1', FRECHET_MEMORY_BYTES: '1GiB' };

/** Until the log says how the worker ended, and it runs again under another pid. */
async function untilRestarted(stack: Stack, pid: number): Promise<string> {
  const deadline = Date.now() + 90_000;
  for (;;) {
    const ended = /worker ended \((.*?)\)/.exec(await stack.readLog())?.[1];
    if (ended !== undefined && stack.workers[0]?.pid !== pid) return ended;
    assert.ok(Date.now() < deadline, 'the worker does not end');
    await sleep(50);
  }
}

test('SIGTERM in the middle of a job: blocks under way are stored, exit code 0, and another worker ends the job', async context => {
  const stack = await startStack({ env: SLOW });
  context.after(() => stack.stop());
  const client = createClient(stack.url);
  const { id } = await client.submit(await outerProductJob(client));
  await client.until(id, job => Number(job.progress.flopsDone) > 0);
  const pid = stack.workers[0]?.pid ?? 0;
  process.kill(pid, 'SIGTERM');
  assert.equal(await untilRestarted(stack, pid), 'code 0');
  const between = await client.read(id);
  assert.ok(between.progress.blocksDone >= 1, 'what was under way is not lost');
  const ended = await client.until(id);
  assert.equal(ended.state, 'succeeded', JSON.stringify(ended.error));
  assert.equal(ended.progress.blocksDone, OUTER_BLOCKS);
  await assertOuterProduct(client, id);
});

test('a block that outlasts the drain goes back to the queue at once, and the worker still ends with 0', async context => {
  const stack = await startStack({ env: { ...SLOW, FRECHET_DRAIN_SECONDS: '1' } });
  context.after(() => stack.stop());
  const client = createClient(stack.url);
  const side = 3_000;
  const values = new Array<number>(side * side).fill(1);
  const A = await client.upload(encodeNpy({ shape: [side, side], dtype: 'float64', order: 'C', values }));
  const { id } = await client.submit({ operation: 'jvp', operands: { A }, direction: A });
  await client.until(id, job => Number(job.progress.flopsDone) > 0);
  const pid = stack.workers[0]?.pid ?? 0;
  const askedAt = performance.now();
  process.kill(pid, 'SIGTERM');
  assert.equal(await untilRestarted(stack, pid), 'code 0');
  const seconds = (performance.now() - askedAt) / 1000;
  assert.ok(seconds < 60, `${seconds} s`);
  const busy = () =>
    client.metric(stack.workers[0]?.ready.adminUrl ?? '', 'frechet_threads', { state: 'busy' });
  const deadline = Date.now() + 60_000;
  while ((await busy().catch(() => 0)) === 0) {
    assert.ok(Date.now() < deadline, 'nobody took the block');
    await sleep(50);
  }
  assert.equal((await client.post(`/v1/jobs/${id}/cancel`, '')).status, 200);
});

test('a client that goes away in its upload leaves nothing, and the next one is served', async context => {
  const stack = await startStack({ workers: 0 });
  context.after(() => stack.stop());
  const client = createClient(stack.url);
  const temporaries = () => readdir(join(stack.dataDir, 'store', 'tmp'));
  const body = encodeNpy({
    shape: [512, 1024],
    dtype: 'float64',
    order: 'C',
    values: new Array(524_288).fill(7),
  });
  const upload = httpRequest(`${client.url}/v1/arrays`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/x-npy', 'Content-Length': body.length },
  });
  upload.on('error', () => undefined); // it is we who break it off
  upload.write(body.subarray(0, body.length / 2));
  while ((await temporaries()).length === 0) await sleep(10);
  upload.destroy();
  const deadline = Date.now() + 60_000;
  while ((await temporaries()).length > 0) {
    assert.ok(Date.now() < deadline, 'the temporary file is still there');
    await sleep(20);
  }
  const listed = (await (await client.get('/v1/arrays')).json()) as { data: unknown[] };
  assert.deepEqual(listed.data, []);
  await client.upload(body);
});
