import assert from 'node:assert/strict';
import { test } from 'node:test';
import { workerShares } from '../../../deploy/local/worker-shares.ts';
import { ARENA_BYTES_MAX } from '../../../workers/memory/arena.ts';

const GIB = 2 ** 30;

/** Memory in GiB and threads of each process. */
function shares(memory: number | undefined, threads: number | undefined) {
  return workerShares({ memoryBytes: memory && memory * GIB, threads }).map(
    ({ FRECHET_MEMORY_BYTES: bytes, FRECHET_THREADS: count }) => [Number(bytes) / GIB, Number(count)],
  );
}

test('memory of one process, or that nobody chose, is left to one worker', () => {
  for (const memory of [undefined, 1, 4])
    assert.deepEqual(workerShares({ memoryBytes: memory && memory * GIB, threads: 8 }), [{}]);
});

test('more memory runs more workers, which share it and the threads', () => {
  assert.deepEqual(shares(5, 8), [
    [2.5, 4],
    [2.5, 4],
  ]);
  assert.deepEqual(shares(12, 8), [
    [4, 2],
    [4, 3],
    [4, 3],
  ]);
  assert.equal(shares(64, 32).length, 16);
});

test('no process is without a thread, nor has more memory than it can address', () => {
  assert.deepEqual(shares(64, 2), [
    [4, 1],
    [4, 1],
  ]);
  assert.ok(
    shares(64, undefined).every(([memory, threads]) => memory! * GIB <= ARENA_BYTES_MAX && threads! >= 1),
  );
});
