// How far a job is, for people: a bar that moves on a terminal, a line now and then elsewhere.

import type { FlopsCount, Progress } from '../client/index.ts';

const BAR_WIDTH = 24;
/** Often enough for a log, seldom enough to read. */
const LINE_SECONDS = 5;
const REDRAW_MS = 80;

export interface ProgressView {
  update(progress: Progress & { readonly etaSeconds: number | null }): void;
  /** Clears the bar. */
  end(): void;
}

/** @param isQuiet shows nothing at all */
export function createProgressView(
  stream: NodeJS.WriteStream,
  isQuiet: boolean,
  now = performance.now,
): ProgressView {
  const rate = createRate();
  // Where lines stay, a job that ends soon needs none.
  let shownAt = stream.isTTY ? Number.NEGATIVE_INFINITY : now.call(performance);
  let isDrawn = false;
  return {
    update(progress) {
      const time = now.call(performance);
      const flopsPerSecond = rate(Number(progress.flopsDone), time);
      const isDone = progress.blocksDone === progress.blocksTotal;
      const apartMs = stream.isTTY ? REDRAW_MS : LINE_SECONDS * 1000;
      if (isQuiet || (time - shownAt < apartMs && !(isDone && stream.isTTY))) return;
      shownAt = time;
      const text = progressText(progress, flopsPerSecond);
      if (!stream.isTTY) stream.write(`${text}\n`);
      // Some terminals say that they have no columns; then as for those that say nothing.
      else stream.write(`\r\u001b[K${bar(shareOf(progress))} ${text}`.slice(0, (stream.columns || 80) + 4));
      isDrawn = stream.isTTY;
    },
    end() {
      if (isDrawn) stream.write('\r\u001b[K');
      isDrawn = false;
    },
  };
}

/** Flops a second since the first report; undefined until there are two. */
function createRate(): (flops: number, timeMs: number) => number | undefined {
  let first: { readonly flops: number; readonly timeMs: number } | undefined;
  return (flops, timeMs) => {
    first ??= { flops, timeMs };
    return timeMs > first.timeMs ? ((flops - first.flops) / (timeMs - first.timeMs)) * 1000 : undefined;
  };
}

function shareOf({ flopsDone, flopsTotal, blocksDone, blocksTotal }: Progress): number {
  // A job that only copies has no flops.
  const [done, total] = Number(flopsTotal) > 0 ? [flopsDone, flopsTotal] : [blocksDone, blocksTotal];
  return Number(total) === 0 ? 1 : Math.min(1, Number(done) / Number(total));
}

export function bar(share: number): string {
  const filled = Math.round(share * BAR_WIDTH);
  return `${'█'.repeat(filled)}${'░'.repeat(BAR_WIDTH - filled)}`;
}

/** `53 %, 21 of 40 blocks, 41.2 GFLOP/s, 12 s left`; what is not known is left out. */
export function progressText(
  progress: Progress & { readonly etaSeconds: number | null },
  flopsPerSecond: number | undefined,
): string {
  const { blocksDone, blocksTotal, etaSeconds } = progress;
  const parts = [`${Math.floor(100 * shareOf(progress))} %`, `${blocksDone} of ${blocksTotal} blocks`];
  if (flopsPerSecond !== undefined && flopsPerSecond > 0) parts.push(`${formatFlops(flopsPerSecond)}/s`);
  const isDone = blocksDone === blocksTotal;
  const seconds = etaSeconds ?? secondsLeft(progress, flopsPerSecond);
  if (!isDone && seconds !== undefined) parts.push(`${formatSeconds(seconds)} left`);
  return parts.join(', ');
}

function secondsLeft({ flopsDone, flopsTotal }: Progress, rate: number | undefined): number | undefined {
  return rate === undefined || rate <= 0 ? undefined : (Number(flopsTotal) - Number(flopsDone)) / rate;
}

/** Three digits and a unit: `41.2 GFLOP`. */
export function formatFlops(flops: FlopsCount): string {
  return `${withUnit(Number(flops), 1000, ['', 'k', 'M', 'G', 'T', 'P', 'E'])}FLOP`;
}

/** `1.5 MiB` */
export function formatBytes(bytes: number): string {
  return bytes < 1024 ? `${bytes} B` : `${withUnit(bytes, 1024, ['', 'Ki', 'Mi', 'Gi', 'Ti'])}B`;
}

function withUnit(value: number, base: number, units: readonly string[]): string {
  const power = value < base ? 0 : Math.min(units.length - 1, Math.floor(Math.log(value) / Math.log(base)));
  return `${Number((value / base ** power).toPrecision(3))} ${units[power]}`;
}

/** `0.8 s`, `12 s`, `3 min 20 s`, `2 h 5 min` */
export function formatSeconds(seconds: number): string {
  if (seconds < 10) return `${Number(seconds.toPrecision(2))} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

/** An error or a bound: two digits say what it is. */
export function formatBrief(value: number): number {
  return Number(value.toPrecision(2));
}
