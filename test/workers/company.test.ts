import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { createCompany } from '../../workers/company.ts';

const never = new AbortController().signal;

/** Work that says when it began and ends when it is told to. */
function stage() {
  const company = createCompany();
  const begun: string[] = [];
  const ends = new Map<string, () => void>();
  return {
    begun,
    start: (name: string, manner: 'together' | 'alone', signal = never) =>
      company.run(manner, signal, async () => {
        begun.push(name);
        await new Promise<void>(resolve => ends.set(name, resolve));
        return name;
      }),
    async end(name: string) {
      ends.get(name)?.();
      await turn();
    },
  };
}

test('ordinary work runs side by side', async () => {
  const { start, begun } = stage();
  for (const name of ['a', 'b', 'c']) void start(name, 'together');
  await turn();
  assert.deepEqual(begun, ['a', 'b', 'c']);
});

test('one that runs alone waits for those before it, and those after it wait for its end', async () => {
  const { start, end, begun } = stage();
  void start('a', 'together');
  void start('b', 'together');
  void start('x', 'alone');
  void start('c', 'together');
  void start('y', 'alone');
  await turn();
  assert.deepEqual(begun, ['a', 'b']);
  await end('a');
  assert.deepEqual(begun, ['a', 'b']);
  await end('b');
  assert.deepEqual(begun, ['a', 'b', 'x']);
  await end('x');
  assert.deepEqual(begun, ['a', 'b', 'x', 'c']);
  await end('c');
  assert.deepEqual(begun, ['a', 'b', 'x', 'c', 'y']);
});

test('work that fails gives its place back, and its error passes on', async () => {
  const company = createCompany();
  const failure = new Error('broken');
  const failing = company.run('alone', never, () => Promise.reject(failure));
  const next = company.run('alone', never, async () => 'next');
  await assert.rejects(failing, failure);
  assert.equal(await next, 'next');
});

test('one that is not wanted any more stops waiting, and holds nobody up', async () => {
  const { start, begun } = stage();
  const controller = new AbortController();
  const reason = new Error('not wanted');
  void start('a', 'together');
  const given = start('x', 'alone', controller.signal);
  void start('b', 'together');
  await turn();
  assert.deepEqual(begun, ['a']);
  controller.abort(reason);
  await assert.rejects(given, reason);
  await turn();
  assert.deepEqual(begun, ['a', 'b']);
  await assert.rejects(start('y', 'alone', controller.signal), reason);
});

test('whatever the order, nobody is beside one that runs alone, and everybody has a turn', async () => {
  const company = createCompany();
  const present = new Set<string>();
  let turns = 0;
  const runs = Array.from({ length: 60 }, (_, index) => {
    const manner = (index * 7) % 5 === 0 ? 'alone' : 'together';
    return company.run(manner, never, async () => {
      present.add(`${manner} ${index}`);
      assert.ok(present.size === 1 || [...present].every(one => one.startsWith('together')));
      for (let wait = index % 4; wait > 0; wait -= 1) await turn();
      present.delete(`${manner} ${index}`);
      turns += 1;
    });
  });
  await Promise.all(runs);
  assert.equal(turns, 60);
});
