// Does anything wrong get through, and is anything right turned away? Single bits are flipped by the thousand, clean
// blocks run by the hundred thousand. Ends with 1 where something escaped.
//
//   npm run faults [-- --smoke] [-- --seed=1]

import { type Campaign, startCampaign } from './campaign.ts';
import { DAMAGES, type Damage } from './damage.ts';
import { countUnnoticedFlips, servesSwappedBlocks } from './stored.ts';

const smoke = process.argv.includes('--smoke');
/** Every block has a seed of its own, counted from here: campaigns of different seeds share none. */
const seed = 1_000_000 * Number(process.argv.find(word => word.startsWith('--seed='))?.slice(7) ?? 1);
const COUNTS = smoke
  ? { clean: 300, flips: 150, stored: 200 }
  : { clean: 100_000, flips: 4_000, stored: 4_000 };

async function main(): Promise<void> {
  const campaign = startCampaign();
  print(`${campaign.kernel}, seed ${seed}`);
  const faults = [...(await runMemory(campaign)), ...(await runStore())];
  await campaign.close();
  for (const fault of faults) print(`ESCAPED  ${fault}`);
  print(faults.length === 0 ? 'nothing escaped, nothing right was turned away' : `${faults.length} faults`);
  process.exitCode = faults.length === 0 ? 0 : 1;
}

async function runMemory(campaign: Campaign): Promise<string[]> {
  const alarms = await campaign.findFalseAlarms(COUNTS.clean, seed);
  print(`${COUNTS.clean} clean blocks: ${alarms.length} false alarms`);
  const faults = alarms.map(label => `false alarm: ${label}`);
  for (const damage of Object.keys(DAMAGES) as Damage[]) {
    const { harmless, harmful, escaped } = await campaign.damage(damage, COUNTS.flips, seed);
    print(`${damage}: ${harmless} flips within the bound, ${harmful} beyond it, ${escaped.length} escaped`);
    faults.push(...escaped.map(label => `${damage}: ${label}`));
  }
  const passed = await campaign.changeOperands(COUNTS.flips, seed);
  print(`operands in memory: ${COUNTS.flips} flips, ${passed.length} escaped`);
  return [...faults, ...passed.map(label => `operands in memory: ${label}`)];
}

async function runStore(): Promise<string[]> {
  const unnoticed = await countUnnoticedFlips(COUNTS.stored, seed);
  print(`${COUNTS.stored} flips in stored blocks: ${unnoticed} read as if nothing had happened`);
  const swapped = await servesSwappedBlocks();
  print(`two stored blocks in each other's place: ${swapped ? 'served' : 'noticed'}`);
  return [...(unnoticed > 0 ? ['flips in stored blocks'] : []), ...(swapped ? ['swapped blocks'] : [])];
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

await main();
