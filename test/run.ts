// Runs the tests: `npm test` all of them, `npm test -- shared/math store` those whose path holds one of the words.
// The list comes from the sources, so that the output of a deleted test never runs. (`node --test` takes no globs
// before Node 21.)

import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const TEST_TIMEOUT_MS = 300_000;
/** Many tests start processes of their own; more at once than this makes them wait for each other. */
const CONCURRENCY = 2;

function listTests(words: readonly string[]): string[] {
  return readdirSync(join(ROOT, 'test'), { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile() && entry.name.endsWith('.test.ts'))
    .map(entry => relative(ROOT, join(entry.parentPath, entry.name)))
    .filter(path => words.length === 0 || words.some(word => path.includes(word)))
    .sort()
    .map(path => join('dist', path.replace(/\.ts$/, '.js')));
}

function runTests(files: readonly string[]): void {
  const flags = [
    '--test',
    `--test-concurrency=${CONCURRENCY}`,
    `--test-timeout=${TEST_TIMEOUT_MS}`,
    '--test-reporter=spec',
  ];
  const runner = spawn(process.execPath, [...flags, ...files], { cwd: ROOT, stdio: 'inherit' });
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => runner.kill(signal));
  runner.once('exit', code => {
    process.exitCode = code ?? 1;
  });
}

const words = process.argv.slice(2);
const files = listTests(words);
if (files.length === 0) {
  console.error(words.length > 0 ? `no test's path holds ${words.join(' or ')}` : 'there are no tests');
  process.exitCode = 1;
} else {
  runTests(files);
}
