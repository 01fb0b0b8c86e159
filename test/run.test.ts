import assert from 'node:assert/strict';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { REPOSITORY_ROOT } from '../deploy/local/root.ts';
import { runCommand } from '../deploy/local/run-command.ts';

const RUN = join(REPOSITORY_ROOT, 'dist/test/run.js');

/** The runner marks its children as parts of itself; what we start is a run of its own. */
function run(...words: string[]) {
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  return runCommand(process.execPath, [RUN, ...words], { env });
}

test('words choose tests by their path, and the summary is shown', async () => {
  const { code, output } = await run('deploy/local/lock');
  assert.equal(code, 0, output);
  assert.match(output, /work under one lock never overlaps/);
  assert.match(output, /tests 6\b.*fail 0\b/s);
});

test('to find no test is a failure', async () => {
  const { code, output } = await run('no-such-test');
  assert.equal(code, 1);
  assert.match(output, /no test's path holds no-such-test/);
});

test('a compiled test without its source does not run', async () => {
  const folder = join(REPOSITORY_ROOT, 'dist/test/orphan');
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'orphan.test.js'), 'process.exit(1);');
  const { code, output } = await run('orphan/orphan');
  await rm(folder, { recursive: true });
  assert.equal(code, 1);
  assert.match(output, /no test's path/);
});
