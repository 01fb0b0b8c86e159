import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { test } from 'node:test';
import { temporaryFolder } from '../../support/temporary.ts';
import { frechet } from './command-line.ts';

test('every part is examined, and nothing is left behind', async context => {
  const cwd = await temporaryFolder(context);
  const { code, stdout, stderr } = await frechet(['doctor', '--json'], { cwd, env: { TMPDIR: cwd } });
  assert.equal(code, 0, stdout + stderr);
  const findings = stdout
    .trimEnd()
    .split('\n')
    .map(line => JSON.parse(line));
  assert.deepEqual(
    findings.map(({ part }) => part),
    ['versions', 'Redis', 'store', 'kernel native', 'kernel wasm', 'kernel reference', 'service'],
  );
  assert.ok(findings.every(({ verdict }) => verdict !== 'fault'));
  assert.match(findings[1].detail, /^\d+\.\d+\.\d+ starts and answers/);
  assert.deepEqual(await readdir(cwd), []);
});

test('a fault is told with what to do, and ends with 1', async context => {
  const cwd = await temporaryFolder(context);
  const env = { FRECHET_REDIS_URL: 'unix:/no/such/socket', FRECHET_URL: 'http://127.0.0.1:1', TMPDIR: cwd };
  const { code, stdout } = await frechet(['doctor'], { cwd, env });
  assert.equal(code, 1);
  assert.match(stdout, /^fault +Redis .*FRECHET_REDIS_URL/m);
  assert.match(stdout, /^fault +service .*cannot be reached/m);
  assert.match(stdout, /^ok +store /m);
});
