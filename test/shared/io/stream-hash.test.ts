import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { createHashThread, type StartHash, startHash } from '../../../shared/io/stream-hash.ts';
import { failsWith } from './streams.ts';

function sha256(...parts: readonly (string | Uint8Array)[]): string {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest('hex');
}

/** Two streams at the same time, chunk by chunk in turns, each from one piece of memory that is used again. */
async function hashTwo(start: StartHash): Promise<void> {
  const streams = ['first\n', 'second\n'].map(prefix => ({ prefix, hash: start(prefix) }));
  const memories = streams.map(({ hash }) => hash.allocate(1000));
  const chunks = Array.from({ length: 5 }, (_, at) => new Uint8Array(1000 - at).fill(at + 1));
  for (const chunk of chunks) {
    const digests = streams.map(({ hash }, at) => {
      const memory = memories[at]!.subarray(0, chunk.byteLength);
      memory.set(chunk);
      return hash.add(memory);
    });
    assert.deepEqual(await Promise.all(digests), [sha256(chunk), sha256(chunk)]);
  }
  for (const { prefix, hash } of streams) assert.equal(await hash.finish(), sha256(prefix, ...chunks));
}

test('a stream and each of its chunks have their SHA-256, on this thread and on one of its own', async context => {
  await hashTwo(startHash);
  const thread = createHashThread();
  context.after(thread.close);
  await hashTwo(thread.start);
});

test('a stream that was discarded leaves the others as they are', async context => {
  const thread = createHashThread();
  context.after(thread.close);
  const [left, kept] = [thread.start(''), thread.start('')];
  const chunk = kept.allocate(3);
  await left.add(chunk);
  left.discard();
  await kept.add(chunk);
  kept.discard();
  left.discard();
  const last = thread.start('last');
  assert.equal(await last.finish(), sha256('last'));
});

test('a thread that died fails what it had, and the next stream has another', async context => {
  const thread = createHashThread();
  context.after(thread.close);
  const [broken, other] = [thread.start(''), thread.start('')];
  broken.discard();
  const failures = [broken.add(broken.allocate(1)), other.add(other.allocate(1))];
  for (const failure of failures) await failsWith('unavailable', failure);
  await failsWith('unavailable', other.finish());
  assert.equal(await thread.start('again').finish(), sha256('again'));
});
