// Timing for benchmarks: the best of many runs, the contenders taking turns so that a busy moment hits all alike.

import { cpus, loadavg } from 'node:os';

/** What is measured: a name and one unit of work. */
export interface Contender {
  readonly name: string;
  /** How many threads it runs on; one where nothing is said. */
  readonly threads?: number;
  /** Answers how many seconds it took where its own clock is to count. */
  run(): void | Promise<void> | Promise<number>;
}

/** A turn lasts at least so long, so that short work is not always measured in the caches that somebody else left. */
const TURN_MS = 3;

/** The shortest time of each contender, in seconds, after one turn to warm up. Each gets about `seconds` in all. */
export async function bestSeconds(
  contenders: readonly Contender[],
  seconds: number,
): Promise<ReadonlyMap<Contender, number>> {
  const best = new Map<Contender, number>();
  for (const contender of contenders) await contender.run();
  const stop = performance.now() + 1000 * seconds * contenders.length;
  do {
    for (const contender of contenders) {
      const shortest = await shortestRun(contender);
      best.set(contender, Math.min(best.get(contender) ?? Number.POSITIVE_INFINITY, shortest));
    }
  } while (performance.now() < stop);
  return best;
}

/** In seconds, of one turn. */
async function shortestRun(contender: Contender): Promise<number> {
  let shortest = Number.POSITIVE_INFINITY;
  const turn = performance.now();
  do {
    const start = performance.now();
    const told = await contender.run();
    shortest = Math.min(shortest, told ?? (performance.now() - start) / 1000);
  } while (performance.now() - turn < TURN_MS);
  return shortest;
}

/** One line about where the figures come from. */
export function machine(): string {
  const all = cpus();
  const load = loadavg()[0]!.toFixed(1);
  return `${all[0]?.model ?? 'unknown'} × ${all.length}, ${process.platform} ${process.arch}, Node ${process.versions.node}, load ${load}`;
}

/** Columns padded to the widest cell; the first left, the others right. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map(row => row[column]!.length)));
  return rows
    .map(row =>
      row.map((cell, c) => (c === 0 ? cell.padEnd(widths[c]!) : cell.padStart(widths[c]!))).join('  '),
    )
    .join('\n');
}
