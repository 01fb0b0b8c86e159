import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Stack, startStack } from '../../support/processes.ts';

async function untilReady(url: string): Promise<void> {
  for (let attempt = 0; attempt < 400; attempt++) {
    const answer = await fetch(`${url}/readyz`).then(
      response => response.text(),
      () => undefined,
    );
    if (answer === 'ready\n') return;
    await sleep(25);
  }
  assert.fail(`${url} was not ready in ten seconds`);
}

/** A·H for a small A and H, through the whole road of a job. */
async function assertComputes(stack: Stack): Promise<void> {
  const job = { operation: 'jvp', operands: { A: { data: [[2]] } }, direction: { data: [[3]] } };
  const submitted = await fetch(`${stack.url}/v1/jobs`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', Prefer: 'wait=30' },
    body: JSON.stringify(job),
  });
  assert.equal(submitted.status, 200, await stack.readLog());
  const { id } = (await submitted.json()) as { id: string };
  const headers = { Accept: 'application/json' };
  const result = await fetch(`${stack.url}/v1/jobs/${id}/result`, { headers });
  assert.deepEqual(await result.json(), [[6]]);
}

test('a role that is killed comes back at its old address, and jobs go on', async context => {
  const stack = await startStack({ workers: 2 });
  context.after(() => stack.stop());
  await assertComputes(stack);
  for (const role of [stack.gateway, ...stack.workers]) {
    const before = role.pid;
    process.kill(before, 'SIGKILL');
    while (role.pid === before) await sleep(10);
    await untilReady(role.ready.adminUrl);
  }
  await assertComputes(stack);
});

test('Redis comes back where it was, and jobs go on', async context => {
  const stack = await startStack();
  context.after(() => stack.stop());
  const pid = Number(/Redis .* started \(pid (\d+)\)/.exec(await stack.readLog())?.[1]);
  process.kill(pid, 'SIGKILL');
  while (!/Redis went away.*started/s.test(await stack.readLog())) await sleep(25);
  await untilReady(stack.adminUrl);
  for (const worker of stack.workers) await untilReady(worker.ready.adminUrl);
  await assertComputes(stack);
});

test('two stacks run side by side, and leave no files', async () => {
  const stacks = await Promise.all([startStack(), startStack()]);
  assert.notEqual(stacks[0].url, stacks[1].url);
  await Promise.all(stacks.map(assertComputes));
  await Promise.all(stacks.map(stack => stack.stop()));
  for (const stack of stacks) assert.equal(existsSync(stack.dataDir), false);
});
