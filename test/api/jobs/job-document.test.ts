import assert from 'node:assert/strict';
import { test } from 'node:test';
import { flopsCount, flopsDone, resultShapeDocument } from '../../../api/jobs/job-document.ts';
import { planJob } from '../../../shared/job/job-plan.ts';
import { resolveSpec } from '../../../shared/job/resolve.ts';
import { jobRequest } from '../../../shared/job/spec.ts';

const scalar = { dims: [], source: { inline: '', dtype: 'float64', order: 'C' } } as const;
const plan = planJob(
  resolveSpec(
    jobRequest.parse({ operation: 'jvp', operands: { A: { data: 0 } }, direction: { data: 0 } }),
    { operands: new Map([['A', { ...scalar, dims: [10, 5] }]]), direction: { ...scalar, dims: [5, 2] } },
    { id: '01JE0000000000000000000000', tenant: 'default', createdAt: '2026-01-01T00:00:00.000Z' },
  ),
);

test('flops are a number as long as a float64 holds them, else a decimal string', () => {
  assert.equal(flopsCount(0n), 0);
  assert.equal(flopsCount(2n ** 53n - 1n), 2 ** 53 - 1);
  assert.equal(flopsCount(2n ** 53n), '9007199254740992');
  assert.equal(flopsCount(2n ** 53n + 1n), '9007199254740993');
});

test('flops done are the larger of what was reported and the share of finished blocks, never more than all', () => {
  assert.equal(plan.flops, 200n);
  const facts = { outcome: undefined, progress: undefined, blocksDone: 0 };
  const reported = (flops: bigint) => ({ ...facts, progress: { startedAt: '', flopsDone: flops } });
  assert.equal(flopsDone(plan, facts), 0n);
  assert.equal(flopsDone(plan, reported(30n)), 30n);
  assert.equal(flopsDone(plan, reported(300n)), 200n);
  assert.equal(flopsDone(plan, { ...reported(30n), blocksDone: 1 }), 200n);
  assert.equal(flopsDone({ ...plan, blocksTotal: 4 }, { ...reported(30n), blocksDone: 1 }), 50n);
});

test('the size of a result counts the header of its .npy body', () => {
  assert.deepEqual(resultShapeDocument(plan.result), {
    shape: [10, 2],
    dtype: 'float64',
    order: 'C',
    bytes: 128 + 160,
  });
});
