// `npm run chaos:outages`: every way in which Redis can be away or refuse, for every length of time. Takes about twelve
// minutes; `-- silent 7` is one of them. A line for each outage, exit code 1 where one was not lived through.

import { createClient } from '../support/client.ts';
import { liveThroughOutage } from './outage.ts';
import { REDIS_FAULTS, type RedisFault, startWorld } from './world.ts';

/** The lengths at which clients and BullMQ change their behaviour, and one beyond all of them. */
const SECONDS = [0.2, 1, 5, 7, 20, 60];

const wanted = process.argv.slice(2);
const isWanted = (word: string, words: readonly string[]) =>
  wanted.includes(word) || !wanted.some(one => words.includes(one));

/** Loading takes the time that it takes. */
function lengthsOf(fault: RedisFault): number[] {
  if (fault === 'loading') return [0];
  return SECONDS.filter(length => isWanted(`${length}`, SECONDS.map(String)));
}

async function main(): Promise<void> {
  const world = await startWorld({ workers: 2 });
  const client = createClient(world.stack.url);
  try {
    for (const fault of REDIS_FAULTS.filter(word => isWanted(word, REDIS_FAULTS))) {
      for (const seconds of lengthsOf(fault)) {
        try {
          const recoveryMs = await liveThroughOutage(world, client, fault, seconds * 1000);
          console.log(`${fault} for ${seconds} s: recovered in ${(recoveryMs / 1000).toFixed(1)} s`);
        } catch (error) {
          console.log(`${fault} for ${seconds} s: FAILED ${(error as Error).message}`);
          process.exitCode = 1;
        }
      }
    }
  } finally {
    if (process.exitCode === 1) console.error(await world.stack.readLog());
    await world.stop();
  }
}

await main();
