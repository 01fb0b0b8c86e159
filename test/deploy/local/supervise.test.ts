import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type ReadyMessage, type Role, superviseRole } from '../../../deploy/local/supervise.ts';
import { isAlive } from '../../support/is-alive.ts';
import { temporaryFolder } from '../../support/temporary.ts';

interface Scene {
  readonly role: Role;
  readonly lines: string[];
  /** One entry for each time the role started: the port it was given. */
  readStarts(): Promise<string[]>;
}

/** Supervises a role made of `body`, which runs after it has noted its start; ready unless `body` says otherwise. */
async function supervise(context: TestContext, body: string, graceMs = 5_000): Promise<Scene> {
  const folder = await temporaryFolder(context);
  const module = join(folder, 'role.mjs');
  const notes = join(folder, 'starts');
  const lines: string[] = [];
  await writeFile(
    module,
    `import { appendFileSync } from 'node:fs';
     appendFileSync(${JSON.stringify(notes)}, process.env.PORT + '\\n');
     const ready = () => process.send({ type: 'ready', role: 'test', adminUrl: 'http://127.0.0.1:4321' });
     setInterval(() => {}, 1000);
     process.on('disconnect', () => process.exit(0));
     ${body}`,
  );
  const portOf = (first: ReadyMessage | undefined) => (first ? new URL(first.adminUrl).port : '0');
  const role = await superviseRole({
    name: 'test role',
    module,
    env: first => ({ PORT: portOf(first) }),
    output: 'inherit',
    graceMs,
    log: line => lines.push(line),
  });
  context.after(() => role.stop());
  const readStarts = async () => (await readFile(notes, 'utf8')).trim().split('\n');
  return { role, lines, readStarts };
}

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt++) {
    if (await condition()) return;
    await sleep(25);
  }
  assert.fail('it did not come to pass in five seconds');
}

test('a role is ready when it says so, and gone when stop resolves', async context => {
  const { role } = await supervise(
    context,
    "setTimeout(ready, 50); process.on('SIGTERM', () => process.exit(0));",
  );
  assert.equal(role.ready.adminUrl, 'http://127.0.0.1:4321');
  assert.ok(isAlive(role.pid));
  await role.stop();
  assert.equal(isAlive(role.pid), false);
  await role.stop();
});

test('a role that is killed starts again, where it was before', async context => {
  const { role, lines, readStarts } = await supervise(context, 'ready();');
  const before = role.pid;
  process.kill(before, 'SIGKILL');
  await until(async () => (await readStarts()).length === 2);
  assert.notEqual(role.pid, before);
  assert.deepEqual(await readStarts(), ['0', '4321']);
  assert.match(lines.join(), /test role ended \(SIGKILL\)/);
});

test('a role that keeps dying is started less and less often, and soon where it came up before', async context => {
  const delaysOf = async ({ lines }: Scene) => {
    await until(() => lines.length >= 4);
    return lines.slice(0, 4).map(line => Number(/code 7\).* (\d+) ms/.exec(line)?.[1]));
  };
  const dying = supervise(context, 'ready(); setTimeout(() => process.exit(7), 20);');
  const failing = supervise(
    context,
    "if (process.env.PORT === '0') ready(); setTimeout(() => process.exit(7), 20);",
  );
  assert.deepEqual(await delaysOf(await dying), [250, 500, 1000, 1000]);
  assert.deepEqual(await delaysOf(await failing), [250, 500, 1000, 2000]);
});

test('a stopped role does not start again', async context => {
  const { role, readStarts } = await supervise(context, 'ready();');
  process.kill(role.pid, 'SIGKILL');
  await role.stop();
  await sleep(400);
  assert.equal((await readStarts()).length, 1);
});

test('a role that ignores SIGTERM is killed after its grace period', async context => {
  const { role } = await supervise(context, "process.on('SIGTERM', () => {}); ready();", 300);
  const startedAt = performance.now();
  await role.stop();
  const elapsedMs = performance.now() - startedAt;
  assert.ok(elapsedMs >= 290 && elapsedMs < 3_000, `${elapsedMs} ms`);
  assert.equal(isAlive(role.pid), false);
});

test('a role that ends before it is ready is an error', async context => {
  await assert.rejects(supervise(context, 'process.exit(3);'), { code: 'unavailable', message: /code 3/ });
});
