import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { createClient } from '../../../api/client/index.ts';
import { temporaryFolder } from '../../support/temporary.ts';
import { frechet } from './command-line.ts';

test('up runs the service where it is told to, until it is told to stop', async context => {
  const cwd = await temporaryFolder(context);
  let said = '';
  let version = '';
  const { code, stdout } = await frechet(['up', '--port', '0', '--data', 'here'], {
    cwd,
    env: { FRECHET_ADMIN_PORT: '0', FRECHET_LOG_LEVEL: 'silent' },
    onSpawn: child => {
      child.stdout?.on('data', async (text: string) => {
        said += text;
        const url = /API +(http:\S+)/.exec(said)?.[1];
        if (url === undefined || version !== '') return;
        version = (await createClient({ url }).system()).version;
        child.kill('SIGTERM');
      });
    },
  });
  assert.equal(code, 0, stdout);
  assert.match(version, /^\d+\.\d+\.\d+/);
  assert.ok(existsSync(join(cwd, 'here', 'store')));
});
