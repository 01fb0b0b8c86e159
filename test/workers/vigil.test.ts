import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { startVigil } from '../../workers/vigil.ts';

const LOOK_MS = 5_000;
const MINUTE_LOOKS = 12;

function watched(context: TestContext) {
  context.mock.timers.enable({ apis: ['setInterval'] });
  const world = { taken: 0, isBusy: false, waiting: async () => 1, starved: 0 };
  const vigil = startVigil({
    taken: () => world.taken,
    isBusy: () => world.isBusy,
    waiting: () => world.waiting(),
    onStarved: () => {
      world.starved += 1;
    },
  });
  context.after(() => vigil.stop());
  return {
    world,
    vigil,
    async pass(looks: number): Promise<void> {
      for (; looks > 0; looks -= 1) {
        context.mock.timers.tick(LOOK_MS);
        await turn();
      }
    },
  };
}

test('a minute of waiting work and none taken is the end', async context => {
  const { world, pass } = watched(context);
  await pass(MINUTE_LOOKS - 1);
  assert.equal(world.starved, 0);
  await pass(1);
  assert.equal(world.starved, 1);
});

test('one entry taken begins the minute anew', async context => {
  const { world, pass } = watched(context);
  await pass(MINUTE_LOOKS - 1);
  world.taken += 1;
  await pass(MINUTE_LOOKS);
  assert.equal(world.starved, 0);
  await pass(1);
  assert.equal(world.starved, 1);
});

test('neither an empty queue, a long block nor an absent Redis is starvation', async context => {
  const { world, pass } = watched(context);
  for (const calm of [
    { waiting: async () => 0 },
    { isBusy: true },
    { waiting: () => Promise.reject(new Error('Redis is away')) },
  ]) {
    await pass(MINUTE_LOOKS - 1);
    Object.assign(world, calm);
    await pass(1);
    Object.assign(world, { waiting: async () => 1, isBusy: false });
  }
  await pass(MINUTE_LOOKS - 1);
  assert.equal(world.starved, 0);
});

test('after its end it looks no more', async context => {
  const { world, vigil, pass } = watched(context);
  vigil.stop();
  await pass(2 * MINUTE_LOOKS);
  assert.equal(world.starved, 0);
});
