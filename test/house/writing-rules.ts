// What a file may be called, how long it may be, and which words and calls it may not hold.

import { basename } from 'node:path';
import type { Source } from './source-tree.ts';

const LINES_MAX = 600;
/** They say nothing about what is inside. */
const EMPTY_NAMES = /(^|-)(utils?|helpers?|types|managers?|services?|common|misc|base|abstract|impl)$/;
/** A script in a package of the distribution is a service; ours are called what they are. */
const NAMED_ON_PURPOSE = new Set(['deploy/local/services.ts', 'test/deploy/local/services.test.ts']);

const UNFINISHED = /\b(TODO|FIXME|XXX|HACK|WIP)\b/;
const SKIPPED_TEST = /\b(test|it|describe)\.(skip|todo|only)\b|\b(skip|todo|only): true\b/;
/** The compiler knows these from its `lib`; Node 20 does not have them. */
const TOO_NEW =
  /\b(Map|Object)\.groupBy\(|\bPromise\.(withResolvers|try)\(|\bIterator\.from\(|\bimport\.meta\.(dirname|filename)\b|\bArray\.fromAsync\(|\bRegExp\.escape\(/;
const SILENCED = /@ts-(ignore|nocheck|expect-error)/;
const DEFAULT_EXPORT = /^export default\b/m;
/** Piscina calls the default export of a thread's module. */
const DEFAULT_EXPORT_NEEDED = 'workers/execute/thread.ts';

/** A sentence for each fault of the files. */
export function writingFaults(sources: readonly Source[]): string[] {
  return sources.flatMap(source => [...nameFaults(source), ...textFaults(source)]);
}

function nameFaults({ path }: Source): string[] {
  const noun = basename(path).replace(/(\.test)?\.(d\.)?(ts|mjs|js|json|py|md)$/, '');
  if (noun === 'README' || NAMED_ON_PURPOSE.has(path)) return [];
  if (!/^[a-z0-9]+([.-][a-z0-9]+)*$/.test(noun)) return [`${path} is not in kebab case`];
  return EMPTY_NAMES.test(noun) ? [`${path} has a name that says nothing`] : [];
}

function textFaults({ path, text }: Source): string[] {
  const lines = text.split('\n').length - 1;
  const rules = [
    [lines > LINES_MAX, `has ${lines} lines`],
    [UNFINISHED.test(text), 'holds a note that something is unfinished'],
    [SKIPPED_TEST.test(text), 'skips a test, or runs one alone'],
    [TOO_NEW.test(text), 'uses what Node 20 does not have'],
    [SILENCED.test(text), 'turns the type checker off'],
    [DEFAULT_EXPORT.test(text) && path !== DEFAULT_EXPORT_NEEDED, 'has a default export'],
    [isSource(path) && !saysItsIdea(text), 'does not say what its idea is'],
  ] as const;
  return rules.filter(([broken]) => broken).map(([, fault]) => `${path} ${fault}`);
}

function isSource(path: string): boolean {
  return path.endsWith('.ts') && !path.endsWith('.test.ts');
}

/** At its beginning; a file that holds one short thing may say it in the docstring of that. */
function saysItsIdea(text: string): boolean {
  const [beforeCode = ''] = text.split(/^(?:export|const|function|class|interface|type|await)\b/m);
  return /^(\/\/ |\/\*\*)/m.test(beforeCode);
}

/** Files below `test/` that test none of ours: a path that mirrors a source, or a room of tests of its own. */
export function strayTests(sources: readonly Source[]): string[] {
  const paths = new Set(sources.map(source => source.path));
  const ownRooms =
    /^test\/(system|house|chaos|faults|simulation|fuzz|strain|bench|api\/hostile|run\.test\.ts)/;
  return [...paths]
    .filter(path => path.endsWith('.test.ts') && !ownRooms.test(path))
    .filter(path => !mirrors(path, paths));
}

/** A test of a file, or of a folder whose name it has, or a view of a folder under a name of its own beside others. */
function mirrors(path: string, paths: ReadonlySet<string>): boolean {
  const source = path.slice('test/'.length).replace(/\.test\.ts$/, '');
  const folder = source.slice(0, source.lastIndexOf('/') + 1);
  return [...paths].some(
    other => other === `${source}.ts` || other === `${source}.mjs` || other.startsWith(folder),
  );
}
