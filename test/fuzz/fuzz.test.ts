// A little of each campaign. `npm run fuzz` does all of it.

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { type Campaign, type Report, runCampaign } from './campaign.ts';
import { expressionCampaign } from './expressions.ts';
import { startHttpCampaign } from './http.ts';
import { npyCampaign } from './npy.ts';

const SEED = Date.now() % 1_000_000;

async function findNothing(context: TestContext, campaign: Campaign, cases: number): Promise<Report> {
  context.diagnostic(`npm run fuzz -- --only ${campaign.name} --seed ${SEED}`);
  const report = await runCampaign(campaign, SEED, cases);
  assert.deepEqual(report.findings, []);
  assert.equal(report.cases, cases);
  return report;
}

/** The cases reach deep enough to mean something. */
function assertReached({ outcomes }: Report, expected: readonly string[]): void {
  for (const outcome of expected) assert.ok(Object.hasOwn(outcomes, outcome), `some are "${outcome}"`);
}

test('.npy files, whole and damaged, are read as numpy-ts reads them, or refused in order', async context => {
  const report = await findNothing(context, npyCampaign, 10_000);
  assertReached(report, [
    'read',
    'read though damaged',
    'npy-bad-magic',
    'npy-header-syntax',
    'npy-truncated',
  ]);
});

test('expressions mean what the grammar says, and noise is refused in order', async context => {
  const report = await findNothing(context, expressionCampaign, 2_000);
  assertReached(report, ['derived', 'shape-mismatch', 'expression-syntax', 'expression-too-large']);
});

test('every answer to a random request is a success or a problem of the table', async context => {
  const campaign = await startHttpCampaign();
  try {
    assertReached(await findNothing(context, campaign, 800), ['200', '400', '404', '405', '415', '422']);
  } finally {
    await campaign.stop();
  }
});

test('what is wrong is found, and its case can be run again', async () => {
  const campaign: Campaign = {
    name: 'flawed',
    cases: 1_000,
    lanes: 3,
    run(random) {
      if (random.below(100) === 0) throw new Error('a flaw');
      return 'fine';
    },
  };
  const { findings, outcomes } = await runCampaign(campaign, SEED);
  assert.ok(findings.length > 0 && (outcomes.fine ?? 0) > 0);
  for (const { seed } of findings) {
    const again = await runCampaign(campaign, seed!, 1);
    assert.match(again.findings[0]?.message ?? '', /a flaw/);
  }
});
