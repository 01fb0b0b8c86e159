// A little of each strain. `npm run strain` does all of it.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runOverload } from './overload.ts';
import { runRoughClients } from './rough-clients.ts';

test('uploads that break off or crawl leave nothing behind, and hold nobody up', async context => {
  const seed = Date.now() % 1_000_000;
  context.diagnostic(`npm run strain -- clients --seed ${seed}`);
  const report = await runRoughClients({ seed, aborted: 40, slow: 120, slowSeconds: 3, rounds: 1 });
  assert.ok(report.fast.uploads > 0 && report.slowRefused < 120, JSON.stringify(report));
});

test('under five times the load that can be done, what is accepted succeeds and the rest is refused in words', async () => {
  const report = await runOverload({ calmSeconds: 1, seconds: 3, queuedJobs: 20 });
  assert.ok(report.accepted > 0 && (report.refused[429] ?? 0) > 0, JSON.stringify(report));
});
