import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createReleasers, withReleasers } from '../../../shared/io/releasers.ts';

const turn = () => new Promise<void>(resolve => setImmediate(resolve));

test('releases run backwards, one at a time, once', async () => {
  const order: string[] = [];
  const releasers = createReleasers();
  for (const name of ['first', 'second', 'third']) {
    releasers.push(name, async () => {
      order.push(`${name} begins`);
      await turn();
      order.push(`${name} ends`);
    });
  }
  await Promise.all([releasers.release(), releasers.release()]);
  const wanted = ['third', 'second', 'first'].flatMap(name => [`${name} begins`, `${name} ends`]);
  assert.deepEqual(order, wanted);
});

test('a release that fails stops no other, and is told with its name', async () => {
  const order: string[] = [];
  const releasers = createReleasers();
  releasers.push('store', () => void order.push('store'));
  releasers.push('redis', () => Promise.reject(new Error('gone')));
  releasers.push('listener', () => {
    throw new Error('never listened');
  });
  await assert.rejects(releasers.release(), (error: AggregateError) => {
    assert.equal(error.message, 'could not release listener; could not release redis');
    assert.equal((error.errors[1] as Error & { cause: Error }).cause.message, 'gone');
    return true;
  });
  assert.deepEqual(order, ['store']);
});

test('a start that fails releases what it had acquired, and tells its own failure', async () => {
  const order: string[] = [];
  const start = withReleasers(async releasers => {
    releasers.push('a', () => void order.push('a'));
    releasers.push('b', () => Promise.reject(new Error('not this one')));
    throw new Error('port in use');
  });
  await assert.rejects(start, /port in use/);
  assert.deepEqual(order, ['a']);
});

test('a start that succeeds hands over its value and its release', async () => {
  const order: string[] = [];
  const { value, release } = await withReleasers(async releasers => {
    releasers.push('a', () => void order.push('a'));
    return 42;
  });
  assert.equal(value, 42);
  assert.deepEqual(order, []);
  await release();
  assert.deepEqual(order, ['a']);
});
