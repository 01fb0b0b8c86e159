// `npm run chaos -- --seed S --minutes M`: a real gateway, two workers and Redis under faults that never stop, and
// clients that keep count. At the end every accepted job must have one final state and, where it succeeded, the right
// bytes. Exit code 1 where one has not.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Releasers, withReleasers } from '../../shared/io/releasers.ts';
import { createRandom } from '../support/random.ts';
import { createFaultyDisk } from './disk-faults.ts';
import { type PastFault, strikeAll } from './faults.ts';
import { type Promised, runLoad } from './load.ts';
import { mountSmallDisk } from './small-disk.ts';
import { startWorld } from './world.ts';

const CLIENTS = 6;
const DISK_BYTES = 1024 * 1024 * 1024;
const SLOWEST = 5;
/** After the last fault: locks lapse, the reconciler looks, and everything that was promised ends. */
const SETTLE_MS_MAX = 150_000;

export interface ChaosReport {
  readonly seed: number;
  readonly jobs: number;
  readonly states: Readonly<Record<string, number>>;
  readonly faults: Readonly<Record<string, number>>;
  readonly hasSmallDisk: boolean;
  /** Jobs without a final state, or absent. */
  readonly losses: readonly string[];
  /** Jobs with two final states, a wrong result, or one that nobody should have. */
  readonly wrong: readonly string[];
  /** From the end of a fault to the end of the first job submitted after it; other faults go on meanwhile. */
  readonly recoverySeconds: { readonly p50: number; readonly p99: number; readonly max: number };
  /** The longest of them. */
  readonly slowest: readonly Recovery[];
  /** Blocks begun again since an attempt never ended. */
  readonly recomputedBlocks: number;
  readonly log: string;
}

interface Recovery {
  readonly kind: string;
  /** When the fault was over, RFC 3339. */
  readonly endedAt: string;
  readonly seconds: number;
}

export async function runChaos(seed: number, ms: number): Promise<ChaosReport> {
  const random = createRandom(seed);
  const { value, release } = await withReleasers(startAll);
  try {
    const { world, disks } = value;
    const signal = AbortSignal.timeout(ms);
    const [past, load] = await Promise.all([
      strikeAll(world, disks, random.fork(), signal),
      runLoad(world.stack.url, CLIENTS, random.fork(), signal),
    ]);
    await load.settle(SETTLE_MS_MAX);
    const log = await world.stack.readLog();
    return report(seed, past, load.promised, disks.small !== undefined, log);
  } finally {
    await release();
  }
}

/** A world whose store lies on a disk of ours. */
async function startAll(releasers: Releasers) {
  const folder = await mkdtemp(join(tmpdir(), 'frechet-chaos-'));
  releasers.push('the folder', () => rm(folder, { recursive: true, force: true }));
  const small = mountSmallDisk(DISK_BYTES);
  if (small === undefined) {
    console.error('chaos: no file system can be mounted here, so the disk is never full');
  } else releasers.push('the small disk', async () => small.unmount());
  const store = join(small?.path ?? folder, 'store');
  const faulty = createFaultyDisk(store, join(folder, 'faults'));
  const world = await startWorld({
    workers: 2,
    env: {
      ...faulty.env,
      FRECHET_THREADS: '1',
      FRECHET_MEMORY_BYTES: '256MiB',
      FRECHET_STORE: `file:${store}`,
    },
  });
  releasers.push('the world', world.stop);
  return { world, disks: { faulty, small } };
}

function report(
  seed: number,
  past: readonly PastFault[],
  promised: readonly Promised[],
  hasSmallDisk: boolean,
  log: string,
): ChaosReport {
  const blamed = promised.filter(job => job.faults.length > 0);
  const lines = blamed.map(job => `${job.id}: ${[...new Set(job.faults)].join('; ')}`);
  const isLoss = (line: string) => /no final state|not there/.test(line);
  const recovery = recoveries(past, promised).sort((a, b) => a.seconds - b.seconds);
  const seconds = recovery.map(one => one.seconds);
  return {
    seed,
    jobs: promised.length,
    states: count(promised.map(job => job.finalState ?? (job.isDeleted ? 'deleted unseen' : 'none'))),
    faults: count(past.map(fault => fault.kind)),
    hasSmallDisk,
    losses: lines.filter(isLoss),
    wrong: lines.filter(line => !isLoss(line)),
    recoverySeconds: {
      p50: quantile(seconds, 0.5),
      p99: quantile(seconds, 0.99),
      max: seconds.at(-1) ?? Number.NaN,
    },
    slowest: recovery.slice(-SLOWEST).reverse(),
    recomputedBlocks: log.split('a block whose last attempt never ended').length - 1,
    log,
  };
}

function recoveries(past: readonly PastFault[], promised: readonly Promised[]): Recovery[] {
  return past.flatMap(({ kind, endedAt }) => {
    const ends = promised
      .filter(job => job.submittedAt > endedAt && job.finishedAt !== undefined)
      .map(job => job.finishedAt ?? 0);
    if (ends.length === 0) return [];
    return [
      { kind, endedAt: new Date(endedAt).toISOString(), seconds: (Math.min(...ends) - endedAt) / 1000 },
    ];
  });
}

function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

function count(names: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}

/** Everything but the log, for people. */
export function describeReport({ log, ...report }: ChaosReport): string {
  const total = Object.values(report.faults).reduce((sum, number) => sum + number, 0);
  return JSON.stringify({ ...report, faultsTotal: total, logBytes: log.length }, undefined, 2);
}

export function isSound({ losses, wrong }: ChaosReport): boolean {
  return losses.length === 0 && wrong.length === 0;
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { seed: { type: 'string' }, minutes: { type: 'string' } } });
  const seed = Number(values.seed ?? Date.now() % 1_000_000);
  const report = await runChaos(seed, Number(values.minutes ?? 10) * 60_000);
  if (!isSound(report)) console.error(report.log);
  console.log(describeReport(report));
  process.exitCode = isSound(report) ? 0 : 1;
}

if (process.argv[1]?.endsWith('chaos/chaos.js')) await main();
