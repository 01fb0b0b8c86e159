// Two minutes of chaos, for what breaks often. `npm run chaos` finds what breaks seldom.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describeReport, isSound, runChaos } from './chaos.ts';

const CHAOS_MS = 120_000;

test('under faults every accepted job has one final state, and the right bytes', async context => {
  const seed = Date.now() % 1_000_000;
  context.diagnostic(`npm run chaos -- --seed ${seed}`);
  const report = await runChaos(seed, CHAOS_MS);
  const struck = Object.values(report.faults).reduce((sum, number) => sum + number, 0);
  assert.ok(report.jobs > 0 && struck > 40, `${report.jobs} jobs, ${struck} faults`);
  assert.ok(isSound(report), describeReport(report));
});
