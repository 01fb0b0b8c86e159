// A real process, killed while it writes: what it called durable is there, and nothing is there in part.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { openFileStore } from '../../../../shared/io/store/file-store.ts';
import { temporaryFolder } from '../../../support/temporary.ts';
import { REPEATS } from './writer.ts';

const WRITER = fileURLToPath(new URL('./writer.js', import.meta.url));
const ROUNDS = 5;

test('a writer killed at any moment leaves whole objects, and all it had promised', async context => {
  const root = await temporaryFolder(context);
  const store = await openFileStore(root);
  for (let round = 1; round <= ROUNDS; round += 1) {
    const writer = spawn(process.execPath, [WRITER, root], { stdio: ['ignore', 'pipe', 'inherit'] });
    let promised = '';
    writer.stdout.on('data', (text: Buffer) => {
      promised += text;
      // Each round a little later within the cycle of writing, syncing and linking.
      if (promised.split('\n').length > 10 * round) writer.kill('SIGKILL');
    });
    const [, signal] = await once(writer, 'close');
    assert.equal(signal, 'SIGKILL');
    for (const name of promised.split('\n').slice(0, -1))
      assert.ok(await store.stat(`written/${name}`), name);
    const names = await store.list('written');
    assert.ok(names.length >= 10 * round);
    for (const name of names) {
      const found = Buffer.from((await store.get(`written/${name}`)) ?? []);
      assert.ok(found.equals(Buffer.from(name.repeat(REPEATS))), name);
    }
    await store.sweep(-1);
    await store.deletePrefix('written');
  }
});
