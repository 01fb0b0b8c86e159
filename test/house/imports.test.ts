// Who may import whom: the tree keeps the tables, and each check finds what breaks them.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { environmentReaders, forbiddenImports, importCycles, unusedFiles } from './import-rules.ts';
import { importsOf, readSources, type Source } from './source-tree.ts';

const sources = readSources('.ts', '.mjs');
const lines = sources.flatMap(importsOf);

function source(path: string, ...imports: readonly string[]): Source {
  return {
    path,
    text: imports.map(specifier => `import { x } from '${specifier}';\n`).join(''),
  };
}

test('every import goes where the house allows it', () => {
  assert.ok(lines.length > 500, 'the tree has been read');
  assert.deepEqual(forbiddenImports(lines), []);
});

const FORBIDDEN: readonly (readonly [from: string, to: string])[] = [
  ['shared/math/jvp.ts', '../job/spec.ts'],
  ['shared/math/jvp.ts', 'node:fs'],
  ['shared/math/jvp.ts', 'zod'],
  ['shared/job/spec.ts', '../io/npy.ts'],
  ['shared/job/spec.ts', 'node:crypto'],
  ['shared/io/npy.ts', '../../api/app.ts'],
  ['shared/errors.ts', './assert.ts'],
  ['api/routes/jobs.ts', '../../workers/load.ts'],
  ['api/jobs/submit.ts', 'express'],
  ['api/jobs/submit.ts', '../http/body.ts'],
  ['api/http/body.ts', '../routes/jobs.ts'],
  ['api/jobs/submit.ts', 'bullmq'],
  ['api/http/body.ts', '../../deploy/local/redis.ts'],
  ['workers/load.ts', '../api/app.ts'],
  ['workers/run-block.ts', 'bullmq'],
  ['workers/run-block.ts', 'piscina'],
  ['workers/run-block.ts', 'prom-client'],
  ['workers/kernels/source.ts', 'koffi'],
  ['workers/kernels/kernel.ts', '../../shared/math/graph.ts'],
  ['workers/kernels/kernel.ts', '../execute/threads.ts'],
  ['workers/memory/arena.ts', '../../shared/io/npy.ts'],
  ['api/client/digest.ts', 'node:crypto'],
  ['api/client/npy.ts', '../../shared/io/npy.ts'],
  ['api/cli/explain.ts', '../../workers/run-block.ts'],
  ['deploy/local/up.ts', '../../api/main.ts'],
  ['shared/io/npy.ts', 'left-pad'],
  ['test/system/road.test.ts', 'left-pad'],
];

for (const [from, to] of FORBIDDEN) {
  test(`${from} may not import ${to}`, () => {
    assert.equal(forbiddenImports(importsOf(source(from, to))).length, 1);
  });
}

test('an import is seen however it is written', () => {
  const text = [
    "import { createHash } from 'node:crypto';",
    "import type { A } from './a.ts';",
    'import {\n  b,\n  type C,\n} from "./never.ts";'.replaceAll('"', "'"),
    "export * from '../b.ts';",
    "import './c.ts';",
    "const { d } = await import('./d.ts');",
    "createRequire(import.meta.url)('koffi');",
  ].join('\n');
  const found = importsOf({ path: 'api/http/x.ts', text });
  assert.deepEqual(
    found.map(({ to }) => to),
    [
      'node:crypto',
      'api/http/a.ts',
      'api/http/never.ts',
      'api/b.ts',
      'api/http/c.ts',
      'api/http/d.ts',
      'koffi',
    ],
  );
  assert.deepEqual(
    found.filter(({ isType }) => isType).map(({ to }) => to),
    ['api/http/a.ts'],
  );
  assert.equal(found.filter(({ isDynamic }) => isDynamic).length, 2);
});

test('no imports go in a circle', () => {
  assert.deepEqual(importCycles(lines), []);
});

test('a circle of imports is found, one of types alone is none', () => {
  const [a, b, c] = [
    source('api/a.ts', './b.ts'),
    source('api/b.ts', './c.ts'),
    source('api/c.ts', './a.ts'),
  ];
  const circle = [['api/a.ts', 'api/b.ts', 'api/c.ts', 'api/a.ts']];
  assert.deepEqual(importCycles([a, b, c].flatMap(importsOf)), circle);
  const types = { path: c.path, text: "import type { x } from './a.ts';\n" };
  assert.deepEqual(importCycles([a, b, types].flatMap(importsOf)), []);
});

test('every file runs or is imported by what runs', () => {
  assert.deepEqual(unusedFiles(sources, lines), []);
});

test('a file that only its test imports is unused', () => {
  const tree = [source('api/main.ts', './a.ts'), source('api/a.ts'), source('api/b.ts')];
  const tests = [
    source('test/api/b.test.ts', '../../api/b.ts', '../support/d.ts'),
    source('test/support/d.ts'),
  ];
  const all = [...tree, ...tests];
  assert.deepEqual(unusedFiles(all, all.flatMap(importsOf)), ['api/b.ts']);
});

test('the environment is read where processes begin and nowhere else', () => {
  assert.deepEqual(environmentReaders(sources), []);
});

test('a reader of the environment elsewhere is found', () => {
  const text = 'const host = process.env.FRECHET_HOST;';
  assert.deepEqual(environmentReaders([{ path: 'shared/io/redis.ts', text }]), ['shared/io/redis.ts']);
});
