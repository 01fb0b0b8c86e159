import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { chmod, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { findCommand, findRedis } from '../../../deploy/local/redis-binary.ts';
import { temporaryFolder } from '../../support/temporary.ts';

/** Puts a program that only knows its version on a search path of its own. */
async function writeProgram(folder: string, name: string, script: string): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, `#!/bin/sh\n${script}\n`);
  await chmod(path, 0o755);
  return path;
}

test('a server on the search path is taken', async context => {
  const folder = await temporaryFolder(context);
  const command = await writeProgram(folder, 'redis-server', 'echo Redis server v=7.2.4 sha=00000000:0');
  assert.deepEqual(await findRedis({ searchPath: `/nowhere:${folder}` }), { command, version: '7.2.4' });
});

test('Valkey is taken where there is no Redis', async context => {
  const folder = await temporaryFolder(context);
  const command = await writeProgram(folder, 'valkey-server', 'echo Valkey server v=8.0.1 sha=00000000:0');
  assert.deepEqual(await findRedis({ searchPath: folder }), { command, version: '8.0.1' });
});

for (const [what, script] of [
  ['older than 6.2', 'echo Redis server v=6.0.16 sha=00000000:0'],
  ['that does not run', 'exit 127'],
] as const) {
  test(`a server ${what} is passed over for one that will do`, async context => {
    const folder = await temporaryFolder(context);
    await writeProgram(folder, 'redis-server', script);
    const command = await writeProgram(folder, 'valkey-server', 'echo Valkey server v=7.2.5 sha=00000000:0');
    assert.equal((await findRedis({ searchPath: folder })).command, command);
  });
}

test('without any on the search path, the distribution’s package is unpacked and runs', {
  skip: existsSync('/usr/bin/dpkg') ? false : 'needs Debian or Ubuntu',
}, async () => {
  const found = await findRedis({ searchPath: '' });
  assert.match(found.command, /\.cache\/packages\/redis-.*\/usr\/bin\/redis-server$/);
  assert.match(found.version, /^\d+\.\d+\.\d+$/);
  assert.ok(found.libraryPath !== undefined);
});

test('a command is found in the first folder that has it, if it can be run', async context => {
  const folder = await temporaryFolder(context);
  await writeFile(join(folder, 'plain'), '');
  assert.equal(await findCommand('plain', folder), undefined);
  const node = await findCommand('node', `${folder}:${dirname(process.execPath)}`);
  assert.equal(node, join(dirname(process.execPath), 'node'));
});
