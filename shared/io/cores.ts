// How many threads of a machine compute.

import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';

/** Physical cores that this process may use: two hardware threads of a core share its arithmetic units, so a product gains nothing from the second. */
export function computeCores(): number {
  return Math.min(physicalCores(), availableParallelism());
}

function physicalCores(): number {
  try {
    const cores = readFileSync('/proc/cpuinfo', 'utf8')
      .split('\n\n')
      .map(cpu => [/^physical id\s*: (\d+)/m.exec(cpu)?.[1], /^core id\s*: (\d+)/m.exec(cpu)?.[1]])
      .filter(([socket, core]) => socket !== undefined && core !== undefined);
    return new Set(cores.map(String)).size || availableParallelism();
  } catch {
    return availableParallelism();
  }
}
