import assert from 'node:assert/strict';
import { test } from 'node:test';
import { simulate } from './coordinator.ts';
import { simulateMany } from './simulate.ts';

/** About half a minute of two cores. `npm run simulate` takes as many as one likes. */
const SEEDS = 10_000;
/** Of a small job only the slice and its own outcome are written exclusively: it takes more of them. */
const FLAWED_SEEDS = 100;

test('the promises of the design hold over crashes, faults and losses, whatever the seed', async context => {
  const total = await simulateMany(1, SEEDS);
  context.diagnostic(JSON.stringify(total));
  for (const [what, count] of Object.entries(total)) assert.ok(count > SEEDS / 4, `${what}: ${count}`);
});

test('a seed that is lived through again is the same life', async () => {
  assert.deepEqual(await simulateMany(SEEDS, 1), await simulateMany(SEEDS, 1));
});

test('a store that replaces what it promised to keep is found out', async () => {
  let found = 0;
  // Later seeds live later, and ids do not go back in time.
  for (let seed = SEEDS + 1; seed <= SEEDS + FLAWED_SEEDS; seed += 1) {
    await simulate(seed, { isExclusive: false }).catch((error: Error) => {
      // Such a store also makes jobs that never end; anything else is a fault of the simulation.
      assert.match(error.message, /was replaced|never ends/);
      if (error.message.includes('was replaced')) found += 1;
    });
  }
  assert.ok(found > 0);
});
