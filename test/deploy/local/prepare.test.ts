// Over a checkout in miniature: its only dependency lies beside it, so that `npm ci` needs no network, and hands over
// to the compiler of this checkout.

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { copyFile, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { REPOSITORY_ROOT } from '../../../deploy/local/root.ts';
import { type CommandResult, runCommand } from '../../../deploy/local/run-command.ts';
import { temporaryFolder } from '../../support/temporary.ts';

const PREPARE = 'deploy/local/prepare.mjs';

async function write(root: string, path: string, content: unknown): Promise<void> {
  const file = join(root, path);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, typeof content === 'string' ? content : JSON.stringify(content));
}

async function createCheckout(context: TestContext): Promise<string> {
  const root = await temporaryFolder(context);
  const compiler = pathToFileURL(join(REPOSITORY_ROOT, 'node_modules/typescript/bin/tsc')).href;
  const dependency = { name: 'typescript', version: '1.0.0' };
  const project = { name: 'mini', version: '1.0.0', dependencies: { typescript: 'file:compiler' } };
  await write(root, 'compiler/package.json', dependency);
  await write(root, 'compiler/bin/tsc', `import(${JSON.stringify(compiler)});`);
  await write(root, 'package.json', { ...project, type: 'module' });
  await write(root, 'package-lock.json', {
    name: 'mini',
    version: '1.0.0',
    lockfileVersion: 3,
    requires: true,
    packages: {
      '': project,
      compiler: dependency,
      'node_modules/typescript': { resolved: 'compiler', link: true },
      'node_modules/for-another-platform': {
        version: '1.0.0',
        optional: true,
        os: ['none'],
        resolved: 'file:absent',
      },
    },
  });
  const { compilerOptions } = JSON.parse(await readFile(join(REPOSITORY_ROOT, 'tsconfig.json'), 'utf8'));
  await write(root, 'tsconfig.json', {
    compilerOptions: { ...compilerOptions, types: [] },
    include: ['shared', 'test'],
  });
  await write(root, 'shared/one.ts', 'export const one = 1;');
  await write(root, 'test/two.test.ts', 'export const two = 2;');
  await mkdir(join(root, dirname(PREPARE)), { recursive: true });
  await copyFile(join(REPOSITORY_ROOT, PREPARE), join(root, PREPARE));
  return root;
}

function prepare(root: string): Promise<CommandResult> {
  return runCommand(process.execPath, [join(root, PREPARE)], { cwd: root });
}

/** The lines it said itself. */
function linesOf({ output }: CommandResult): string[] {
  return output
    .split('\n')
    .filter(line => line.startsWith('frechet: '))
    .map(line => line.replace(/\d+\.\d s$/, '… s'));
}

test('a fresh checkout is installed and compiled, then left alone without a word', async context => {
  const root = await createCheckout(context);
  const first = await prepare(root);
  assert.equal(first.code, 0, first.output);
  assert.deepEqual(linesOf(first), ['frechet: installing dependencies (npm ci)', 'frechet: compiled in … s']);
  assert.ok(existsSync(join(root, 'dist/shared/one.js')));
  assert.deepEqual(await prepare(root), { code: 0, output: '' });
});

test('what changed is compiled, what is gone is removed, what is missing comes back', async context => {
  const root = await createCheckout(context);
  await prepare(root);

  await write(root, 'shared/one.ts', 'export const one = 11;');
  assert.deepEqual(linesOf(await prepare(root)), ['frechet: compiled in … s']);
  assert.match(await readFile(join(root, 'dist/shared/one.js'), 'utf8'), /one = 11/);

  await rm(join(root, 'test/two.test.ts'));
  assert.equal((await prepare(root)).code, 0);
  assert.equal(existsSync(join(root, 'dist/test/two.test.js')), false);
  assert.equal(existsSync(join(root, 'dist/test/two.test.js.map')), false);

  await rm(join(root, 'dist/shared'), { recursive: true });
  assert.equal((await prepare(root)).code, 0);
  assert.ok(existsSync(join(root, 'dist/shared/one.js')));
});

test('a lockfile that moved on is installed', async context => {
  const root = await createCheckout(context);
  await prepare(root);
  const path = join(root, 'node_modules/.package-lock.json');
  await writeFile(
    path,
    (await readFile(path, 'utf8')).replace('"node_modules/typescript"', '"node_modules/other"'),
  );
  assert.deepEqual(linesOf(await prepare(root)), ['frechet: installing dependencies (npm ci)']);
  assert.deepEqual(linesOf(await prepare(root)), []);
});

test('two at once install once, and both end well', async context => {
  const root = await createCheckout(context);
  const both = await Promise.all([prepare(root), prepare(root)]);
  assert.deepEqual(
    both.map(({ code }) => code),
    [0, 0],
  );
  const said = both.flatMap(linesOf);
  assert.equal(said.filter(line => line.includes('npm ci')).length, 1);
  assert.equal(said.filter(line => line.includes('waiting')).length, 1);
});

test('a type error ends it with the compiler’s words', async context => {
  const root = await createCheckout(context);
  await write(root, 'shared/one.ts', "export const one: number = 'one';");
  const { code, output } = await prepare(root);
  assert.equal(code, 1);
  assert.match(output, /shared\/one\.ts.*TS2322/);
});

test('Node older than 20.19 is refused', async () => {
  const module = (await import(pathToFileURL(join(REPOSITORY_ROOT, PREPARE)).href)) as {
    isNodeSupported(version: string): boolean; // plain JavaScript, so the compiler does not see its types
  };
  const supported = ['18.20.0', '20.18.3', '20.19.0', '20.20.2', '22.0.0'].map(module.isNodeSupported);
  assert.deepEqual(supported, [false, false, true, true, true]);
});
