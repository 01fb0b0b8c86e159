// `npm run simulate -- --from 1 --seeds 10000`: the simulation over many seeds. The first that breaks a promise ends it
// and is named.

import { parseArgs } from 'node:util';
import { type Passage, simulate } from './coordinator.ts';

/** @returns what all of them went through, added up */
export async function simulateMany(from: number, count: number): Promise<Passage> {
  const total: Passage = { accepted: 0, crashes: 0, storeFaults: 0, wipes: 0, suspects: 0 };
  for (let seed = from; seed < from + count; seed += 1) {
    const passage = await simulate(seed).catch((error: Error) => {
      throw new Error(`seed ${seed}: ${error.message}`, { cause: error });
    });
    for (const key of Object.keys(total) as (keyof Passage)[]) total[key] += passage[key];
  }
  return total;
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { from: { type: 'string' }, seeds: { type: 'string' } } });
  const seeds = Number(values.seeds ?? 10_000);
  const total = await simulateMany(Number(values.from ?? 1), seeds);
  console.log(JSON.stringify({ seeds, ...total }));
}

if (process.argv[1]?.endsWith('simulation/simulate.js')) await main();
