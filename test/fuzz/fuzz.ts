// `npm run fuzz -- --seed S --minutes M [--only NAME] [--cases N] [--case SEED]`: everything that strangers may send, at
// random and by the hundred thousand. Without --minutes each campaign is run in full. Exit code 1 where something was
// found; a finding tells the seed of its case, and `--only NAME --case SEED` runs that case alone.

import { parseArgs } from 'node:util';
import { type Campaign, type Report, runCampaign } from './campaign.ts';
import { expressionCampaign } from './expressions.ts';
import { startHttpCampaign } from './http.ts';
import { npyCampaign } from './npy.ts';

interface Options {
  readonly seed: number;
  readonly minutes: number | undefined;
  readonly cases: number | undefined;
  readonly only: string | undefined;
}

type Opened = Campaign & { stop?(): Promise<void> };

const CAMPAIGNS: Readonly<Record<string, () => Promise<Opened> | Opened>> = {
  npy: () => npyCampaign,
  expressions: () => expressionCampaign,
  http: startHttpCampaign,
};

async function fuzz({ seed, minutes, cases, only }: Options): Promise<Report[]> {
  const names = Object.keys(CAMPAIGNS).filter(name => only === undefined || name === only);
  const reports: Report[] = [];
  for (const name of names) {
    const signal = minutes === undefined ? undefined : AbortSignal.timeout((minutes / names.length) * 60_000);
    const campaign = await CAMPAIGNS[name]!();
    try {
      const report = await runCampaign(campaign, seed, cases, signal);
      console.log(JSON.stringify(report, undefined, 2));
      reports.push(report);
    } finally {
      await campaign.stop?.();
    }
  }
  return reports;
}

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    minutes: { type: 'string' },
    cases: { type: 'string' },
    only: { type: 'string' },
    case: { type: 'string' },
  },
});
const number = (text: string | undefined) => (text === undefined ? undefined : Number(text));
if (values.only !== undefined && !Object.hasOwn(CAMPAIGNS, values.only))
  throw new Error(`--only takes ${Object.keys(CAMPAIGNS).join(', ')}`);
const seed = number(values.case ?? values.seed) ?? Date.now() % 1_000_000;
console.log(`seed ${seed}`);
const reports = await fuzz({
  seed,
  minutes: number(values.minutes),
  cases: values.case === undefined ? number(values.cases) : 1,
  only: values.only,
});
process.exitCode = reports.every(({ findings }) => findings.length === 0) ? 0 : 1;
