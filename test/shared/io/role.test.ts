// Processes that run a role: how they start, stop and end over bugs, as their supervisor sees it.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';

/** A process that runs a role whose start is the given code; `role` is in reach. */
function runRole(start: string, settings = `{ return { logLevel: 'info' }; }`) {
  const [role, config] = ['role', 'config'].map(
    name => new URL(`../../../shared/io/${name}.js`, import.meta.url),
  );
  const script = `import { ConfigError } from '${config}';
import { runRole } from '${role}';
await runRole('worker', () => ${settings}, async (config, role) => { setInterval(() => {}, 1000); ${start} });`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  });
  let log = '';
  child.stderr?.setEncoding('utf8').on('data', text => {
    log += text;
  });
  return {
    child,
    ready: () => once(child, 'message').then(([message]) => message as unknown),
    async ended() {
      await Promise.all([once(child, 'exit'), once(child.stderr!, 'end')]);
      return { code: child.exitCode, log };
    },
  };
}

const RELEASE = `role.releasers.push('a', () => role.log.info('a')); role.releasers.push('b', () => role.log.info('b'));`;

test('tells its parent that it is ready, and releases in reverse when it is asked to stop', async () => {
  for (const stop of ['SIGTERM', 'SIGINT', 'disconnect'] as const) {
    const { child, ready, ended } = runRole(`${RELEASE} return { url: 'here' };`);
    assert.deepEqual(await ready(), { type: 'ready', role: 'worker', url: 'here' });
    if (stop === 'disconnect') child.disconnect();
    else child.kill(stop);
    const { code, log } = await ended();
    assert.equal(code, 0);
    const messages = log
      .trim()
      .split('\n')
      .map(line => JSON.parse(line).message);
    assert.deepEqual(messages, ['ready', 'shutting down', 'b', 'a', 'stopped']);
  }
});

test('a start that waits for others is stopped as well, and gives back what it had', async () => {
  for (const stop of ['SIGTERM', 'disconnect'] as const) {
    const { child, ended } = runRole(
      `${RELEASE} process.send('waiting'); await new Promise(() => {}); return {};`,
    );
    await once(child, 'message');
    if (stop === 'disconnect') child.disconnect();
    else child.kill(stop);
    const { code, log } = await ended();
    assert.equal(code, 0);
    assert.match(log, /shutting down.*"b".*"a".*stopped/s);
  }
});

test('settings that are wrong are told as they are, and nothing starts', async () => {
  const { ended } = runRole('process.exit(9);', `{ throw new ConfigError('FRECHET_PORT is "x"'); }`);
  assert.deepEqual(await ended(), { code: 1, log: 'FRECHET_PORT is "x"\n' });
});

test('a start that fails releases what it had, and says why', async () => {
  const { ended } = runRole(`${RELEASE} throw new Error('no Redis');`);
  const { code, log } = await ended();
  assert.equal(code, 1);
  assert.match(log, /"b".*"a".*could not start/s);
  assert.match(log, /no Redis/);
});

test('a bug ends the process at once, wherever it shows', async () => {
  for (const bug of [
    `setTimeout(() => { throw new Error('oops'); }, 10);`,
    `setTimeout(() => Promise.reject(new Error('oops')), 10);`,
    `setTimeout(() => role.crash(new Error('oops')), 10);`,
  ]) {
    const { code, log } = await runRole(`${bug} return {};`).ended();
    assert.equal(code, 1);
    assert.match(log, /a bug; the supervisor restarts the worker/);
    assert.match(log, /oops/);
  }
});

test('what cannot be released makes the exit unclean', async () => {
  const { child, ready, ended } = runRole(
    `role.releasers.push('a', () => { throw new Error('stuck'); }); return {};`,
  );
  await ready();
  child.kill('SIGTERM');
  const { code, log } = await ended();
  assert.equal(code, 1);
  assert.match(log, /did not stop cleanly/);
});
