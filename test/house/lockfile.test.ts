// `npm ci` refuses a lockfile that lacks an optional package of any platform, and a lockfile written where some of them
// could not be had lacks them silently: then no fresh clone installs.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { REPOSITORY_ROOT } from '../../deploy/local/root.ts';

interface Lockfile {
  readonly packages: Readonly<Record<string, LockedPackage>>;
}

interface LockedPackage {
  readonly optionalDependencies?: Readonly<Record<string, string>>;
  readonly resolved?: string;
}

/** Optional packages that a locked package names and the lockfile does not hold. */
function missingPackages({ packages }: Lockfile): string[] {
  return Object.entries(packages).flatMap(([path, { optionalDependencies = {} }]) =>
    Object.keys(optionalDependencies).filter(
      name => !(`node_modules/${name}` in packages) && !(`${path}/node_modules/${name}` in packages),
    ),
  );
}

const lockfile = JSON.parse(readFileSync(join(REPOSITORY_ROOT, 'package-lock.json'), 'utf8')) as Lockfile;

test('the lockfile holds the optional packages of every platform', () => {
  assert.deepEqual(missingPackages(lockfile), []);
});

test('a missing optional package is found', () => {
  const packages = { 'node_modules/a': { optionalDependencies: { 'a-linux': '1.0.0' } } };
  assert.deepEqual(missingPackages({ packages }), ['a-linux']);
  assert.deepEqual(missingPackages({ packages: { ...packages, 'node_modules/a-linux': {} } }), []);
});

test('the lockfile names no registry', () => {
  assert.deepEqual(
    Object.entries(lockfile.packages).filter(([, { resolved }]) => resolved !== undefined),
    [],
  );
});
