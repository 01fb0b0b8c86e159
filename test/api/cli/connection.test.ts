// A service of the command's own: there for the command, and gone after it, however it ends.

import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { encodeNpy, ndArray } from '../../../api/client/index.ts';
import { temporaryFolder } from '../../support/temporary.ts';
import { frechet } from './command-line.ts';

async function folders(context: TestContext): Promise<{ cwd: string; temporary: string }> {
  const cwd = await temporaryFolder(context);
  const temporary = join(cwd, 'tmp');
  await mkdir(temporary);
  await writeFile(join(cwd, 'A.npy'), encodeNpy(ndArray(Float64Array.of(2, 3), [1, 2])));
  await writeFile(join(cwd, 'H.npy'), encodeNpy(ndArray(Float64Array.of(5, 7), [2, 1])));
  return { cwd, temporary };
}

/** Processes that were started with this temporary folder. Linux tells; elsewhere there is nothing to compare. */
async function processesOf(temporary: string): Promise<string[]> {
  const found: string[] = [];
  for (const pid of await readdir('/proc').catch(() => [])) {
    if (!/^\d+$/.test(pid)) continue;
    const environment = await readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '');
    if (environment.split('\0').includes(`TMPDIR=${temporary}`)) found.push(pid);
  }
  return found;
}

test('without a URL a service is started, used, and gone with its data', async context => {
  const { cwd, temporary } = await folders(context);
  const { code, stdout, stderr } = await frechet(['jvp', 'A.npy', 'H.npy'], {
    cwd,
    env: { TMPDIR: temporary },
  });
  assert.equal(code, 0, stderr);
  assert.equal(stdout, '31\n');
  assert.deepEqual(await readdir(temporary), []);
  assert.deepEqual(await processesOf(temporary), []);
});

test('a reader that leaves early ends the command, and its service with it', async context => {
  const { cwd, temporary } = await folders(context);
  const { code, stderr } = await frechet(['value', 'A.npy', 'H.npy', '-o', '-'], {
    cwd,
    env: { TMPDIR: temporary },
    onSpawn: child => void child.stdout?.destroy(),
  });
  assert.equal(code, 0, stderr);
  assert.deepEqual(await readdir(temporary), []);
  assert.deepEqual(await processesOf(temporary), []);
});

test('a data folder that is named keeps jobs from command to command', async context => {
  const { cwd, temporary } = await folders(context);
  const env = { TMPDIR: temporary };
  const first = await frechet(['submit', 'jvp', 'A.npy', 'H.npy', '--wait', '--data', 'kept'], { cwd, env });
  assert.equal(first.code, 0, first.stderr);
  const second = await frechet(['result', first.stdout.trim(), '--data', 'kept'], { cwd, env });
  assert.equal(second.stdout, '31\n', second.stderr);
  assert.deepEqual(await processesOf(temporary), []);
});

test('Ctrl-C in the middle of a job leaves nothing behind', async context => {
  const { cwd, temporary } = await folders(context);
  const size = 256;
  const A = ndArray(new Float64Array(size * size).fill(1), [size, size]);
  await writeFile(join(cwd, 'A.npy'), encodeNpy(A));
  const args = ['jacobian', '-e', 'A*W*A', '--operand', 'A=A.npy', '--operand', `W=shape:${size}x${size}`];
  let interrupted: Promise<void> | undefined;
  const { code, stderr } = await frechet([...args, '--columns', '0:2000', '-o', 'J.npy'], {
    cwd,
    env: { TMPDIR: temporary },
    onSpawn: child => {
      interrupted = interruptInTheMiddle(child, temporary);
    },
  });
  await interrupted;
  assert.equal(code, 130, stderr);
  assert.deepEqual(await readdir(temporary), []);
  assert.deepEqual(await processesOf(temporary), []);
  assert.deepEqual((await readdir(cwd)).sort(), ['A.npy', 'H.npy', 'tmp']);
});

/** Once a job lies in the store of the service. */
async function interruptInTheMiddle(child: ChildProcess, temporary: string): Promise<void> {
  for (;;) {
    const paths = await readdir(temporary, { recursive: true }).catch(() => []);
    if (paths.some(path => /jobs\/.*\/spec$/.test(path)) || child.exitCode !== null) break;
    await new Promise(resolve => setTimeout(resolve, 5));
  }
  child.kill('SIGINT');
}

test('a service that cannot be started is 4, with the reason', async context => {
  const { cwd, temporary } = await folders(context);
  const env = { TMPDIR: temporary, FRECHET_LOG_LEVEL: 'loud' };
  const { code, stderr } = await frechet(['jvp', 'A.npy', 'H.npy'], { cwd, env });
  assert.equal(code, 4, stderr);
  assert.match(stderr, /FRECHET_LOG_LEVEL is "loud"/);
  assert.deepEqual(await readdir(temporary), []);
});
