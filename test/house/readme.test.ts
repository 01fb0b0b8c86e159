// What the README promises about commands, settings and places is so.

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join, posix } from 'node:path';
import { test } from 'node:test';
import { REPOSITORY_ROOT } from '../../deploy/local/root.ts';
import { VARIABLES } from './contract.ts';
import { readSources, readText, type Source } from './source-tree.ts';

const README = readText('README.md');
const documents: readonly Source[] = [{ path: 'README.md', text: README }, ...readSources('.md')];
const { scripts } = JSON.parse(readText('package.json')) as { scripts: Record<string, string> };

/** Commands of npm that a text names and no script has. */
function unknownScripts({ path, text }: Source): string[] {
  const named = [...text.matchAll(/\bnpm (?:run ([\w:-]+)|(start|test))\b/g)].map(
    match => match[1] ?? match[2] ?? '',
  );
  return named.filter(name => !Object.hasOwn(scripts, name)).map(name => `${path} names npm run ${name}`);
}

/** Relative links of a text that lead nowhere. */
function brokenLinks({ path, text }: Source): string[] {
  return [...text.matchAll(/\]\((?!https?:|#)([^)#\s]+)[^)]*\)/g)]
    .map(([, target]) => posix.join(posix.dirname(path), target ?? ''))
    .filter(target => !existsSync(join(REPOSITORY_ROOT, target)))
    .map(target => `${path} links to ${target}`);
}

/** Variables without a row that shows their default. */
function undocumentedVariables(text: string): string[] {
  const rows = text.split('\n').filter(line => line.startsWith('|'));
  return Object.entries(VARIABLES)
    .filter(([name, value]) => !rows.some(row => row.includes(`\`${name}\``) && row.includes(value ?? '')))
    .map(([name]) => name);
}

test('every npm script that a document names exists', () => {
  assert.deepEqual(documents.flatMap(unknownScripts), []);
});

test('the scripts that users need are in the README', () => {
  for (const command of ['npm start', 'npm test', 'npm run demo', 'npm run check']) {
    assert.ok(README.includes(command), command);
  }
});

test('every link between our documents leads somewhere', () => {
  assert.deepEqual(documents.flatMap(brokenLinks), []);
});

test('every environment variable has a row with its default', () => {
  assert.deepEqual(undocumentedVariables(README), []);
});

test('a script, a link and a variable that are wrong are found', () => {
  const text = 'npm run dmeo, npm run demo [a](api/none.md) [b](README.md#x) [c](https://example.org/none)';
  const source = { path: 'README.md', text };
  assert.deepEqual(unknownScripts(source), ['README.md names npm run dmeo']);
  assert.deepEqual(brokenLinks(source), ['README.md links to api/none.md']);
  const wrong = README.replace('`8080`', '`8081`').replace('`FRECHET_THREADS`', 'threads');
  assert.deepEqual(undocumentedVariables(wrong), ['FRECHET_PORT', 'FRECHET_THREADS']);
});
