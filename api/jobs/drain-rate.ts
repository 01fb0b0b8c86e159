// How fast work is being done, measured over the last minute: so that who is told to come again is told when.

import type { Pressure } from '../../shared/io/live.ts';

const WINDOW_MS = 60_000;
const APART_MS = 1_000;
const SECONDS_MIN = 1;
const SECONDS_MAX = 600;
/** Where nothing has been done lately there is no rate to tell from. */
const SECONDS_UNKNOWN = 10;

export type DrainRate = ReturnType<typeof createDrainRate>;

type Counts = Pick<Pressure, 'jobsDone' | 'flopsDone'>;

/** @param clock milliseconds since the epoch */
export function createDrainRate(clock: () => number) {
  let samples: (Counts & { readonly atMs: number })[] = [];
  return {
    observe({ jobsDone, flopsDone }: Counts): void {
      const atMs = clock();
      const last = samples.at(-1);
      if (last !== undefined && atMs - last.atMs < APART_MS) return;
      // Redis began anew.
      if (last !== undefined && (jobsDone < last.jobsDone || flopsDone < last.flopsDone)) samples = [];
      samples = [...samples.filter(sample => atMs - sample.atMs <= WINDOW_MS), { atMs, jobsDone, flopsDone }];
    },

    /** Whole seconds until so much more will have been done, at the rate of the last minute. */
    secondsFor(excess: { readonly jobs?: number; readonly flops?: number }): number {
      const [first, last] = [samples[0], samples.at(-1)];
      if (first === undefined || last === undefined || first === last) return SECONDS_UNKNOWN;
      const seconds = (last.atMs - first.atMs) / 1000;
      const jobsSeconds = timeFor(excess.jobs ?? 0, (last.jobsDone - first.jobsDone) / seconds);
      const flopsSeconds = timeFor(excess.flops ?? 0, (last.flopsDone - first.flopsDone) / seconds);
      const longest = Math.max(jobsSeconds, flopsSeconds);
      if (!Number.isFinite(longest)) return SECONDS_UNKNOWN;
      return Math.min(SECONDS_MAX, Math.max(SECONDS_MIN, Math.ceil(longest)));
    },
  };
}

function timeFor(amount: number, rate: number): number {
  return amount <= 0 ? 0 : amount / rate;
}
