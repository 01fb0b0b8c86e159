import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { ensurePackages } from '../../../deploy/local/packages.ts';
import { errorCode } from '../../../shared/errors.ts';
import { temporaryFolder } from '../../support/temporary.ts';

const skip = existsSync('/usr/bin/dpkg') ? false : 'needs Debian or Ubuntu';

test('packages are fetched once for callers at the same time, then found', { skip }, async context => {
  const cacheDir = await temporaryFolder(context);
  const lines: string[] = [];
  const options = { cacheDir, log: (line: string) => lines.push(line) };
  const packages = ['no-such-package | liblzf1'];
  const [first, second] = await Promise.all([
    ensurePackages('lzf', packages, options),
    ensurePackages('lzf', packages, options),
  ]);
  const third = await ensurePackages('lzf', packages, options);

  assert.deepEqual(second, first);
  assert.deepEqual(third, first);
  assert.equal(lines.length, 1);
  const folders = first.libraryPath.split(':').filter(existsSync);
  const libraries = (await Promise.all(folders.map(folder => readdir(folder)))).flat();
  assert.ok(libraries.some(name => name.startsWith('liblzf.so')));
  assert.deepEqual(await readdir(cacheDir), [first.root.slice(cacheDir.length + 1)]);
});

test('a package that does not exist is named, and nothing is left behind', { skip }, async context => {
  const cacheDir = await temporaryFolder(context);
  const error = await ensurePackages('none', ['no-such-package'], { cacheDir }).catch(error => error);
  assert.equal(errorCode(error), 'unavailable');
  assert.match(error.message, /no-such-package/);
  assert.deepEqual(await readdir(join(cacheDir)), []);
});
