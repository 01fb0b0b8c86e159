import assert from 'node:assert/strict';
import { availableParallelism, totalmem } from 'node:os';
import { test } from 'node:test';
import { readWorkerConfig } from '../../workers/config.ts';
import { ARENA_BYTES_MAX } from '../../workers/memory/arena.ts';

test('what the environment leaves open follows from the machine', () => {
  const { threads, memoryBytes, kernel } = readWorkerConfig({});
  assert.ok(Number.isInteger(threads) && threads >= 1 && threads <= availableParallelism());
  assert.ok(memoryBytes > 0 && memoryBytes <= Math.min(totalmem() / 2, ARENA_BYTES_MAX));
  assert.equal(kernel, 'auto');
});

test('what the environment says is taken, up to what one process can address', () => {
  const config = readWorkerConfig({
    FRECHET_THREADS: '7',
    FRECHET_MEMORY_BYTES: '512MiB',
    FRECHET_KERNEL: 'wasm',
  });
  assert.deepEqual([config.threads, config.memoryBytes, config.kernel], [7, 512 * 2 ** 20, 'wasm']);
  assert.equal(config.unusedMemoryBytes, 0);
  const large = readWorkerConfig({ FRECHET_MEMORY_BYTES: '64GiB' });
  assert.equal(large.memoryBytes, ARENA_BYTES_MAX);
  assert.equal(large.unusedMemoryBytes, 60 * 2 ** 30);
});

test('what is wrong is refused, all of it at once', () => {
  assert.throws(
    () => readWorkerConfig({ FRECHET_THREADS: 'many', FRECHET_KERNEL: 'fast' }),
    /FRECHET_THREADS.*\n.*FRECHET_KERNEL/,
  );
});
