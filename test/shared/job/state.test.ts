import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Outcome } from '../../../shared/job/outcome.ts';
import { deriveState } from '../../../shared/job/state.ts';

test('an outcome decides; without one, whether a block has begun', () => {
  const times = {
    version: 1,
    finishedAt: '2026-11-23T00:00:00.000Z',
    expiresAt: '2026-11-24T00:00:00.000Z',
  } as const;
  const cancelled: Outcome = { state: 'cancelled', ...times };
  assert.equal(deriveState(cancelled, undefined), 'cancelled');
  assert.equal(deriveState(cancelled, { startedAt: '' }), 'cancelled');
  assert.equal(deriveState(undefined, { startedAt: '' }), 'running');
  assert.equal(deriveState(undefined, undefined), 'queued');
});
