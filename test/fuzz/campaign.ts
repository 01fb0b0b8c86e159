// Many cases, each made from its own seed, so that one that fails can be run again alone.

import { createRandom, type Random } from '../support/random.ts';

export interface Campaign {
  readonly name: string;
  /** What is done in the full run. */
  readonly cases: number;
  /** How many go on at the same time. */
  readonly lanes: number;
  /** Makes a case and judges it. Answers what became of it, for the count; throws what is wrong. */
  run(random: Random, seed: number): Promise<string> | string;
  /** Judges all of it together, after the last case. Throws what is wrong; answers what else is worth knowing. */
  end?(): Promise<Readonly<Record<string, unknown>>>;
}

export interface Finding {
  /** Of the case: `--case` runs it alone. Absent where the whole is at fault. */
  readonly seed?: number;
  readonly message: string;
}

export interface Report {
  readonly name: string;
  readonly cases: number;
  readonly seconds: number;
  readonly outcomes: Readonly<Record<string, number>>;
  readonly findings: readonly Finding[];
  readonly more: Readonly<Record<string, unknown>>;
}

/** More of them rarely say more. */
const FINDINGS_MAX = 20;
/** The golden ratio in 32 bits: seeds of neighbouring cases lie far apart. */
const SEED_STEP = 0x9e3779b9;

/** Runs until so many cases are done, the signal is given, or enough has been found. */
export async function runCampaign(
  campaign: Campaign,
  seed: number,
  cases = campaign.cases,
  signal?: AbortSignal,
): Promise<Report> {
  const startedAt = performance.now();
  const outcomes: Record<string, number> = {};
  const findings: Finding[] = [];
  let begun = 0;
  let done = 0;
  const lane = async () => {
    while (begun < cases && findings.length < FINDINGS_MAX && !signal?.aborted) {
      const caseSeed = (seed + begun * SEED_STEP) >>> 0;
      begun += 1;
      try {
        const outcome = await campaign.run(createRandom(caseSeed), caseSeed);
        outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
      } catch (error) {
        findings.push({ seed: caseSeed, message: describe(error) });
      }
      done += 1;
      // A campaign of nothing but computing would never hear of the time being up.
      if (done % 1000 === 0) await new Promise(setImmediate);
    }
  };
  await Promise.all(Array.from({ length: campaign.lanes }, lane));
  const more = await Promise.resolve(campaign.end?.() ?? {}).catch((error: unknown) => {
    findings.push({ message: describe(error) });
    return {};
  });
  const seconds = Math.round((performance.now() - startedAt) / 100) / 10;
  return { name: campaign.name, cases: done, seconds, outcomes, findings, more };
}

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
