// What every command has in common: help, exit codes, and their documentation.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { helpText } from '../../../api/cli/command.ts';
import { COMMANDS } from '../../../api/cli/commands.ts';
import { CommandFailure, EXIT_CODES, exitCodeOf, UsageError } from '../../../api/cli/exit-codes.ts';
import { ConnectionError, FrechetProblem } from '../../../api/client/index.ts';
import { REPOSITORY_ROOT } from '../../../deploy/local/root.ts';
import { FrechetError } from '../../../shared/errors.ts';
import { frechet, frechetHere } from './command-line.ts';

const problem = (status: number) =>
  new FrechetProblem({ type: 'about:blank', title: '', status, detail: '' });

test('an error has the exit code that the table promises', () => {
  const interruption = (by: string) => Object.assign(new Error(), { name: 'Interruption', by });
  const codes: [unknown, number][] = [
    [new UsageError('x'), EXIT_CODES.usage],
    [new CommandFailure('x'), EXIT_CODES.failed],
    [problem(422), EXIT_CODES.refused],
    [problem(401), EXIT_CODES.refused],
    [problem(503), EXIT_CODES.unavailable],
    [problem(429), EXIT_CODES.unavailable],
    [new ConnectionError('x'), EXIT_CODES.unavailable],
    [new FrechetError('unavailable', 'no Redis'), EXIT_CODES.unavailable],
    [interruption('SIGINT'), EXIT_CODES.interrupted],
    [interruption('SIGTERM'), EXIT_CODES.terminated],
    [interruption('SIGHUP'), EXIT_CODES.terminated],
    [interruption('SIGPIPE'), EXIT_CODES.ok],
    [new TypeError('x'), EXIT_CODES.bug],
    [undefined, EXIT_CODES.bug],
  ];
  for (const [error, code] of codes) assert.equal(exitCodeOf(error), code, String(error));
});

const readme = readFileSync(`${REPOSITORY_ROOT}api/cli/README.md`, 'utf8');

test('the exit codes and commands are those of the README', () => {
  const codes = [...readme.matchAll(/^\| +(\d+) +\|/gm)].map(([, code]) => Number(code));
  assert.deepEqual(codes, Object.values(EXIT_CODES));
  const commands = [...readme.matchAll(/^\| +`frechet (\w+)/gm)].map(([, name]) => name);
  assert.deepEqual(
    commands,
    COMMANDS.map(({ name }) => name),
  );
});

for (const command of COMMANDS) {
  test(`help of ${command.name} names every option, and fits a terminal`, () => {
    const text = helpText(command);
    for (const option of Object.keys(command.options)) assert.ok(text.includes(`--${option}`), option);
    assert.ok(Math.max(...text.split('\n').map(line => line.length)) <= 120);
  });
}

test('help is an answer, no error', async () => {
  for (const args of [[], ['help'], ['--help'], ['help', 'jvp'], ['jvp', '--help']]) {
    const { code, stdout, stderr } = await frechetHere(args);
    assert.equal(code, 0);
    assert.equal(stderr, '');
    assert.match(stdout, /frechet/);
  }
  const { stdout } = await frechet(['--version']);
  const { version } = JSON.parse(readFileSync(`${REPOSITORY_ROOT}package.json`, 'utf8')) as {
    version: string;
  };
  assert.equal(stdout, `${version}\n`);
});
