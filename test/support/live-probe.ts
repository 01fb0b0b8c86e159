// Somebody who only asks whether the gateway is alive, all the while: what a load balancer sees of it.

import { quantile } from './quantile.ts';

const PROBE_EVERY_MS = 50;

export interface LiveTimes {
  readonly probes: number;
  /** Probes without a 200. */
  readonly failures: number;
  /** Milliseconds until the whole answer was there. A stall of the prober counts, too. */
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

/** Probes `/livez` of this base URL until it is stopped, which may be repeated. */
export function probeLive(url: string): { stop(): Promise<LiveTimes> } {
  const times: number[] = [];
  let failures = 0;
  let isRunning = true;
  const probing = (async () => {
    while (isRunning) {
      const startedAt = performance.now();
      if (!(await isAlive(url))) failures += 1;
      times.push(Math.round(10 * (performance.now() - startedAt)) / 10);
      await new Promise(resolve => setTimeout(resolve, PROBE_EVERY_MS));
    }
  })();
  return {
    async stop() {
      isRunning = false;
      await probing;
      const [p50, p99, max] = [0.5, 0.99, 1].map(share => quantile(times, share));
      return { probes: times.length, failures, p50: p50!, p99: p99!, max: max! };
    },
  };
}

async function isAlive(url: string): Promise<boolean> {
  try {
    const response = await fetch(`${url}/livez`);
    await response.text();
    return response.status === 200;
  } catch {
    return false;
  }
}
