// The client runs where there is no Node: whatever it reaches, once compiled, is ours and pure.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { importsOf, readSources } from '../../house/source-tree.ts';

test('nothing that the client reaches imports a module of Node or a package', () => {
  const sources = new Map(readSources('.ts').map(source => [source.path, source]));
  const reached = new Set<string>();
  const pending = ['api/client/index.ts'];
  const foreign: string[] = [];
  for (let path = pending.pop(); path !== undefined; path = pending.pop()) {
    if (reached.has(path)) continue;
    reached.add(path);
    const source = sources.get(path);
    if (source === undefined) foreign.push(path);
    else pending.push(...importsOf(source).flatMap(({ to, isType }) => (isType ? [] : [to])));
  }
  assert.deepEqual(foreign, []);
  assert.ok(
    reached.has('api/client/watch.ts') && reached.has('shared/math/dtype.ts'),
    'the graph was followed',
  );
});

test('no file of the client uses a global that only Node has', () => {
  const clients = readSources('.ts').filter(({ path }) => /^api\/client\/[^/]+$/.test(path));
  const users = clients.filter(({ text }) =>
    /\b(process|Buffer|require|__dirname|setImmediate)\b[.(]/.test(text),
  );
  assert.deepEqual(
    users.map(({ path }) => path),
    [],
  );
});
