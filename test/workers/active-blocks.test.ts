import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createActiveBlocks, flopsDone } from '../../workers/active-blocks.ts';
import type { Execution } from '../../workers/execute/executor.ts';
import { Cancelled } from '../../workers/execute/run-plan.ts';

const of = (jobId: string, block: number) => ({ tenant: 'acme', jobId, block, flops: 1000n });

test('cancelling a job reaches its blocks and no others, whatever they are doing', () => {
  const active = createActiveBlocks();
  const [a0, a1, b0] = [active.begin(of('a', 0)), active.begin(of('a', 1)), active.begin(of('b', 0))];
  active.cancelJob('a');
  assert.deepEqual(
    [a0, a1, b0].map(({ signal }) => signal.aborted),
    [true, true, false],
  );
  assert.ok(a0.signal.reason instanceof Cancelled);
  active.cancelAll();
  assert.ok(b0.signal.aborted);
});

test('a block that has ended is out of reach', () => {
  const active = createActiveBlocks();
  const block = active.begin(of('a', 0));
  assert.deepEqual([...active], [block]);
  active.end(block);
  active.cancelJob('a');
  assert.equal(block.signal.aborted, false);
  assert.deepEqual([...active], []);
});

test('progress is told in flops of the block, in proportion to what its steps have done', () => {
  const block = createActiveBlocks().begin(of('a', 0));
  assert.equal(flopsDone(block), 0n);
  const execution = (done: bigint, total: bigint): Execution => ({
    run: () => assert.fail('only asked for its progress'),
    runTask: () => assert.fail('only asked for its progress'),
    cancel() {},
    flopsTotal: total,
    flopsDone: () => done,
  });
  block.execution = execution(30n, 120n);
  assert.equal(flopsDone(block), 250n);
  block.execution = execution(0n, 0n);
  assert.equal(flopsDone(block), 0n, 'a block without arithmetic has no parts');
});
