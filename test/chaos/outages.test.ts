// A second without Redis, in each of the ways of losing it. `npm run chaos:outages` has the longer ones.

import { after, before, test } from 'node:test';
import { createClient } from '../support/client.ts';
import { liveThroughOutage } from './outage.ts';
import { REDIS_FAULTS, startWorld, type World } from './world.ts';

const DURATION_MS = 1_000;

let world: World;

before(async () => {
  world = await startWorld({
    workers: 2,
    env: { FRECHET_THREADS: '1', FRECHET_MEMORY_BYTES: '256MiB', FRECHET_KERNEL: 'wasm' },
  });
});
after(() => world.stop());

for (const fault of REDIS_FAULTS) {
  test(`Redis ${fault}: the gateway answers, and afterwards every worker consumes again`, async () => {
    await liveThroughOutage(world, createClient(world.stack.url), fault, DURATION_MS);
  });
}
