// `npm run simulate -- --from 1 --seeds 10000`: the simulation over many seeds, on as many threads as there are cores.
// The first of a thread that breaks a promise ends it and is named.

import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { type Passage, simulate } from './coordinator.ts';

interface Seeds {
  readonly from: number;
  readonly count: number;
}

const NOTHING: Passage = { accepted: 0, crashes: 0, storeFaults: 0, wipes: 0, suspects: 0 };

/** @returns what all of them went through, added up. @throws naming a seed that broke a promise */
export async function simulateMany(from: number, count: number): Promise<Passage> {
  const threads = Math.min(availableParallelism(), count);
  const perThread = Math.ceil(count / threads);
  const shares = Array.from({ length: threads }, (_, index) => ({
    from: from + index * perThread,
    count: Math.min(perThread, count - index * perThread),
  }));
  return add(await Promise.all(shares.map(inThread)));
}

async function inThread(seeds: Seeds): Promise<Passage> {
  const thread = new Worker(fileURLToPath(import.meta.url), { workerData: { seeds } });
  // An error of the thread rejects this.
  const [passage] = (await once(thread, 'message')) as [Passage];
  return passage;
}

async function simulateAll({ from, count }: Seeds): Promise<Passage> {
  const passages: Passage[] = [];
  for (let seed = from; seed < from + count; seed += 1) {
    const passage = await simulate(seed).catch((error: Error) => {
      throw new Error(`seed ${seed}: ${error.message}`, { cause: error });
    });
    passages.push(passage);
  }
  return add(passages);
}

function add(passages: readonly Passage[]): Passage {
  const total = { ...NOTHING };
  for (const passage of passages)
    for (const key of Object.keys(total) as (keyof Passage)[]) total[key] += passage[key];
  return total;
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { from: { type: 'string' }, seeds: { type: 'string' } } });
  const seeds = Number(values.seeds ?? 10_000);
  const total = await simulateMany(Number(values.from ?? 1), seeds);
  console.log(JSON.stringify({ seeds, ...total }));
}

if (!isMainThread && workerData?.seeds !== undefined) {
  parentPort?.postMessage(await simulateAll(workerData.seeds as Seeds));
} else if (process.argv[1]?.endsWith('simulation/simulate.js')) await main();
