// The sources as the house rules see them: text, and what each file imports. Read line by line with patterns, which is
// enough for a tree that one formatter writes.

import { readdirSync, readFileSync } from 'node:fs';
import { join, posix, relative } from 'node:path';
import { REPOSITORY_ROOT } from '../../deploy/local/root.ts';

export interface Source {
  /** From the root of the repository, with slashes. */
  readonly path: string;
  readonly text: string;
}

export interface ImportLine {
  readonly from: string;
  /** A path from the root for our own files, else a package or a `node:` module. */
  readonly to: string;
  /** Gone once compiled. */
  readonly isType: boolean;
  readonly isDynamic: boolean;
}

const FOLDERS = ['api', 'workers', 'shared', 'deploy', 'test'];
const STATIC_IMPORT = /^(?:import|export)\s+(type\s)?(?:[^'";]*?\sfrom\s+)?'([^'$]+)'/gm;
const DYNAMIC_IMPORT = /\bimport\('([^'$]+)'\)|createRequire\(import\.meta\.url\)\('([^'$]+)'\)/g;

/** Every file below our folders whose name ends in one of `extensions`. */
export function readSources(...extensions: readonly string[]): Source[] {
  return FOLDERS.flatMap(folder =>
    readdirSync(join(REPOSITORY_ROOT, folder), {
      recursive: true,
      withFileTypes: true,
    })
      .filter(entry => entry.isFile() && extensions.some(extension => entry.name.endsWith(extension)))
      .map(entry => relative(REPOSITORY_ROOT, join(entry.parentPath, entry.name))),
  ).map(path => ({ path, text: readText(path) }));
}

/** A file of the repository. */
export function readText(path: string): string {
  return readFileSync(join(REPOSITORY_ROOT, path), 'utf8');
}

export function importsOf(source: Source): ImportLine[] {
  const line = (specifier: string, isType: boolean, isDynamic: boolean): ImportLine => ({
    from: source.path,
    to: resolveSpecifier(source.path, specifier),
    isType,
    isDynamic,
  });
  return [
    ...[...source.text.matchAll(STATIC_IMPORT)].map(([, type, to]) => line(to ?? '', Boolean(type), false)),
    ...[...source.text.matchAll(DYNAMIC_IMPORT)].map(([, to, required]) =>
      line(to ?? required ?? '', false, true),
    ),
  ];
}

function resolveSpecifier(from: string, specifier: string): string {
  return specifier.startsWith('.') ? posix.join(posix.dirname(from), specifier) : specifier;
}
