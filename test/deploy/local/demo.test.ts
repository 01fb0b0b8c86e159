import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { REPOSITORY_ROOT } from '../../../deploy/local/root.ts';
import { runCommand } from '../../../deploy/local/run-command.ts';
import { temporaryFolder } from '../../support/temporary.ts';

const DEMO = join(REPOSITORY_ROOT, 'dist/deploy/local/demo.js');

test('the demo tells both stories, ends with 0 and leaves nothing', async context => {
  const folder = await temporaryFolder(context);
  const { code, output } = await runCommand(process.execPath, [DEMO], {
    env: { PATH: process.env.PATH, TMPDIR: folder },
  });
  assert.equal(code, 0, output);
  assert.match(output, /dF\(H\) = A·H = \[ -3 {2}2 \]/);
  assert.match(output, /entries, fetched as byte ranges, agree with their dot products/);
  assert.match(output, /\n {2}passed\n/);
  assert.deepEqual(await readdir(folder), []);
});

test('a demo that fails says so, shows the log, ends with 1 and leaves nothing', async context => {
  const folder = await temporaryFolder(context);
  const { code, output } = await runCommand(process.execPath, [DEMO], {
    env: { PATH: process.env.PATH, TMPDIR: folder, FRECHET_KERNEL: 'abacus' },
  });
  assert.equal(code, 1);
  assert.match(output, /the demo failed/);
  assert.match(output, /FRECHET_KERNEL is "abacus"/);
  assert.deepEqual(await readdir(folder), []);
});

test('an interrupted demo ends with 1 and leaves nothing', async context => {
  const folder = await temporaryFolder(context);
  const child = spawn(process.execPath, [DEMO], {
    stdio: ['ignore', 'pipe', 'ignore'],
    env: { PATH: process.env.PATH, TMPDIR: folder },
  });
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    if (text.includes('uploaded A')) child.kill('SIGINT');
  });
  const [code] = await once(child, 'close');
  assert.equal(code, 1);
  assert.deepEqual(await readdir(folder), []);
});
