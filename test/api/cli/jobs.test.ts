// Jobs that outlive the command that submitted them.

import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { decodeNpy, encodeNpy, ndArray } from '../../../api/client/index.ts';
import { type Stack, startStack } from '../../support/processes.ts';
import { temporaryFolder } from '../../support/temporary.ts';
import { frechetHere } from './command-line.ts';

let stack: Stack;
before(async () => {
  stack = await startStack();
});
after(() => stack?.stop());

const run = (args: readonly string[], cwd?: string, input?: string) =>
  frechetHere(args, {
    env: { FRECHET_URL: stack.url },
    ...(cwd === undefined ? {} : { cwd }),
    ...(input === undefined ? {} : { input }),
  });

/** A job that the service works on for a good while. */
const LONG = JSON.stringify({
  operation: 'jacobian',
  expression: 'A*W*A',
  operands: { A: { data: Array.from({ length: 64 }, () => Array(64).fill(1)) }, W: { shape: [64, 64] } },
  labels: { length: 'long' },
});
const SHORT = { operation: 'jvp', operands: { A: { data: [[1, 2]] } }, direction: { data: [[3], [4]] } };

async function submitted(input: string): Promise<string> {
  const { code, stdout, stderr } = await run(['submit', '-'], undefined, input);
  assert.equal(code, 0, stderr);
  return stdout.trim();
}

test('a job is submitted, watched, looked at and read', async () => {
  const id = await submitted(JSON.stringify(SHORT));
  assert.match(id, /^[0-9A-Z]{26}$/);
  const watched = await run(['watch', id]);
  assert.equal(watched.code, 0, watched.stderr);
  assert.equal(watched.stdout.trimEnd().split('\n').at(-1), `${id} succeeded`);
  const status = await run(['status', id]);
  assert.match(status.stdout, /state +succeeded\n.*differential +A\*dW\n.*blocks +1 of 1\n.*result +1×1/s);
  assert.equal((await run(['result', id])).stdout, '11\n');
  assert.equal(JSON.parse((await run(['result', id, '--json'])).stdout).result[0][0], 11);
});

test('watch --json tells each event as a line, the final state last', async () => {
  const id = await submitted(JSON.stringify(SHORT));
  const { stdout } = await run(['watch', id, '--json']);
  const events = stdout
    .trimEnd()
    .split('\n')
    .map(line => JSON.parse(line));
  assert.equal(events[0].event, 'state');
  assert.equal(events.at(-1).data.state, 'succeeded');
});

test('submit takes the options of a derivative, and waits where asked', async context => {
  const folder = await temporaryFolder(context);
  await writeFile(join(folder, 'A.npy'), encodeNpy(ndArray(Float64Array.of(2, 3), [1, 2])));
  await writeFile(join(folder, 'H.npy'), encodeNpy(ndArray(Float64Array.of(5, 7), [2, 1])));
  const args = [
    'submit',
    'jvp',
    'A.npy',
    'H.npy',
    '--wait',
    '--json',
    '--label',
    'from=options',
    '--priority',
    '3',
  ];
  const { code, stdout, stderr } = await run(args, folder);
  assert.equal(code, 0, stderr);
  const job = JSON.parse(stdout);
  assert.equal(job.state, 'succeeded');
  assert.equal(job.priority, 3);
  assert.equal((await run(['result', job.id])).stdout, '31\n');
  const listed = await run(['list', '--label', 'from=options', '--state', 'succeeded', '-n', '5']);
  assert.deepEqual(
    listed.stdout
      .trimEnd()
      .split('\n')
      .map(line => line.split(/ +/)[0]),
    [job.id],
  );
});

test('a job file may name array files, relative to itself', async context => {
  const folder = await temporaryFolder(context);
  await writeFile(join(folder, 'A.npy'), encodeNpy(ndArray(Float64Array.of(2, 3), [1, 2])));
  await writeFile(join(folder, 'job.json'), JSON.stringify({ ...SHORT, operands: { A: { file: 'A.npy' } } }));
  const { code, stdout, stderr } = await run(['submit', join(folder, 'job.json'), '--wait']);
  assert.equal(code, 0, stderr);
  assert.equal((await run(['result', stdout.trim()])).stdout, '18\n');
});

test('a job is cancelled; then it has no result, and no second end', async () => {
  const id = await submitted(LONG);
  const early = await run(['result', id]);
  assert.equal(early.code, 2, 'it cannot have finished');
  assert.match(early.stderr, /frechet watch/);
  assert.equal((await run(['cancel', id])).stdout, `${id} cancelled\n`);
  const watched = await run(['watch', id]);
  assert.equal(watched.code, 1);
  assert.match(watched.stderr, /cancelled/);
  assert.equal((await run(['result', id])).code, 1);
  const done = await submitted(JSON.stringify(SHORT));
  await run(['watch', done]);
  const late = await run(['cancel', done]);
  assert.equal(late.code, 3);
  assert.match(late.stderr, /already finished/);
});

test('a batch is submitted, waited for and saved', async context => {
  const folder = await temporaryFolder(context);
  const lines = [{ customId: 'first', ...SHORT }, SHORT, { ...SHORT, operation: 'none' }];
  await writeFile(join(folder, 'jobs.ndjson'), lines.map(line => `${JSON.stringify(line)}\n`).join(''));
  const { code, stdout, stderr } = await run(['batch', 'jobs.ndjson', '-o', '.'], folder);
  assert.equal(code, 1);
  assert.match(stderr, /1 of 3 jobs did not succeed/);
  assert.match(
    stdout,
    /^1 {2}first {2}\w{26} {2}succeeded\n2 {2}- {2}\w{26} {2}succeeded\n3 {2}- {2}- {2}rejected: /,
  );
  for (const name of ['first', '2']) {
    const { data } = decodeNpy(await readFile(join(folder, `${name}.npy`)));
    assert.deepEqual([...data], [11]);
  }
});

test('what is not there, is no job, or is no JSON is refused', async () => {
  const absent = await run(['status', '01ARZ3NDEKTSV4RRFFQ69G5FAV']);
  assert.equal(absent.code, 3);
  assert.match(absent.stderr, /no such resource/);
  assert.equal((await run(['submit', '-'], undefined, '{"operation":')).code, 3);
  assert.equal((await run(['submit', 'no-such-file.json'])).code, 2);
  assert.equal((await run(['status'])).code, 2);
  assert.equal((await run(['list', '--state', 'asleep'])).code, 2);
});

test('a command about earlier jobs does not start a service that has none', async () => {
  const { code, stderr } = await frechetHere(['list']);
  assert.equal(code, 2);
  assert.match(stderr, /--url URL or set FRECHET_URL/);
});
