// The examples, run as their first lines say, against a whole service: whoever copies one gets what it promises.

import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, type TestContext, test } from 'node:test';
import { REPOSITORY_ROOT } from '../../../deploy/local/root.ts';
import { runCommand } from '../../../deploy/local/run-command.ts';
import { type Stack, startStack } from '../../support/processes.ts';

const FOLDER = join(REPOSITORY_ROOT, 'api/client/examples');

let stack: Stack;
before(async () => {
  stack = await startStack();
});
after(() => stack?.stop());

/** What an example prints. Where its language is not installed, the test says so and ends. */
async function outputOf(
  context: TestContext,
  probe: readonly [command: string, ...args: string[]],
  command: string,
  ...args: readonly string[]
): Promise<string | undefined> {
  const [program, ...probing] = probe;
  const found = await runCommand(program, probing).catch(error => ({ code: 127, output: String(error) }));
  if (found.code !== 0) {
    context.skip(`THIS EXAMPLE DID NOT RUN: "${probe.join(' ')}" fails here: ${found.output.trim()}`);
    return undefined;
  }
  const { code, output } = await runCommand(command, [...args, stack.url]);
  assert.equal(code, 0, output);
  return output;
}

test('curl', async context => {
  const probe = ['curl', '--fail-with-body', '--version'] as const;
  const output = await outputOf(context, probe, 'sh', join(FOLDER, 'quickstart.sh'));
  if (output !== undefined)
    assert.equal(output.replaceAll('\r', ''), '-3,2\n-5,4\n-7,6\n176 bytes of .npy\n');
});

test('TypeScript', async context => {
  const compiled = join(REPOSITORY_ROOT, 'dist/api/client/examples/quickstart.js');
  const output = await outputOf(context, [process.execPath, '--version'], process.execPath, compiled);
  // Column 2j + i of the Jacobian holds column i of A, and the columns of A add up to 9 and 12.
  assert.deepEqual(output?.trimEnd().split('\n'), [
    'A*dW [[-3,2],[-5,4],[-7,6]]',
    "A'*G [[6,8],[8,10]]",
    `the entries of 100 columns add up to ${50 * (9 + 12)}`,
    'shape-mismatch 422',
  ]);
});

test('Python', async context => {
  const output = await outputOf(
    context,
    ['python3', '-c', 'import numpy'],
    'python3',
    join(FOLDER, 'quickstart.py'),
  );
  if (output === undefined) return;
  assert.match(
    output,
    /^A @ H {2}: \(300, 50\) True\nA\.T @ G: \(200, 50\) True\nJ\[:, :5\]: \(15000, 5\) True\n$/,
  );
});

test('every example is run', () => {
  assert.deepEqual(readdirSync(FOLDER).sort(), ['quickstart.py', 'quickstart.sh', 'quickstart.ts']);
});
