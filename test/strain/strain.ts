// `npm run strain -- clients|overload [--seed S] [--seconds N]`: what a gateway goes through in a bad hour. Prints a report;
// throws where something was lost, leaked or left unanswered, or where others had to wait.

import assert from 'node:assert/strict';
import { parseArgs } from 'node:util';
import { runOverload } from './overload.ts';
import { runRoughClients } from './rough-clients.ts';

const LIVE_P99_MS_MAX = 250;

const { values, positionals } = parseArgs({
  options: { seed: { type: 'string' }, seconds: { type: 'string' } },
  allowPositionals: true,
});
const seed = Number(values.seed ?? Date.now() % 1_000_000);

const STRAINS: Readonly<Record<string, () => Promise<{ readonly live: { readonly p99: number } }>>> = {
  clients: () =>
    runRoughClients({ seed, aborted: 500, slow: 200, slowSeconds: Number(values.seconds ?? 15), rounds: 3 }),
  overload: () => runOverload({ calmSeconds: 8, seconds: Number(values.seconds ?? 120), queuedJobs: 500 }),
};

const names = positionals.length > 0 ? positionals : Object.keys(STRAINS);
for (const name of names) {
  const run = STRAINS[name];
  assert.ok(run !== undefined, `there are ${Object.keys(STRAINS).join(' and ')}`);
  console.log(`${name}, seed ${seed}`);
  const report = await run();
  console.log(JSON.stringify(report, undefined, 2));
  assert.ok(report.live.p99 < LIVE_P99_MS_MAX, `/livez took ${report.live.p99} ms, the 99th of a hundred`);
}
