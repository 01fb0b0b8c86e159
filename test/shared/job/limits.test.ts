// Limits fit together: what one admits, the others must be able to carry.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { blockLimitsFor, workingSetFor } from '../../../shared/job/block-limits.ts';
import * as limits from '../../../shared/job/limits.ts';

describe('limits', () => {
  test('are positive whole numbers or shares below 1', () => {
    for (const [name, value] of Object.entries(limits)) {
      const isShare = name.endsWith('_SHARE');
      assert.ok(isShare ? value > 0 && value < 1 : value > 0, name);
      if (!isShare && typeof value === 'number') assert.ok(Number.isSafeInteger(value), name);
    }
  });

  test('have defaults within their ranges', () => {
    assert.ok(limits.EXPIRES_IN_SECONDS_MIN <= limits.EXPIRES_IN_SECONDS_DEFAULT);
    assert.ok(limits.EXPIRES_IN_SECONDS_DEFAULT <= limits.EXPIRES_IN_SECONDS_MAX);
    assert.ok(limits.PAGE_SIZE_DEFAULT <= limits.PAGE_SIZE_MAX);
    assert.ok(limits.WORKER_MEMORY_BYTES_DEFAULT <= limits.WORKER_MEMORY_BYTES_MAX);
  });

  test('let the largest result be cut into blocks that the largest worker holds', () => {
    const perBlock = limits.RESULT_BYTES_MAX / limits.JOB_BLOCKS_MAX;
    assert.ok(perBlock < limits.WORKER_MEMORY_BYTES_DEFAULT * limits.BLOCK_MEMORY_SHARE);
    assert.ok(limits.BLOCK_BYTES_TARGET % limits.RESULT_CHUNK_BYTES === 0);
  });

  test('of blocks leave a share of a worker’s memory, and end where a 32-bit memory does', () => {
    assert.equal(workingSetFor(1000), 750);
    assert.equal(workingSetFor(1000, 600), 600, 'no more than threads leave');
    assert.equal(workingSetFor(2 ** 50), workingSetFor(limits.WORKER_MEMORY_BYTES_MAX));
    assert.equal(blockLimitsFor(750).workingSetBytes, 750);
    assert.equal(blockLimitsFor().workingSetBytes, workingSetFor(limits.WORKER_MEMORY_BYTES_DEFAULT));
    assert.equal(BigInt(blockLimitsFor().flops), limits.BLOCK_FLOPS_TARGET);
  });
});
