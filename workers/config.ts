// The worker's settings; what the environment leaves open follows from the machine.

import { readFileSync } from 'node:fs';
import { availableParallelism, totalmem } from 'node:os';
import { type Config, type Environment, readConfig } from '../shared/io/config.ts';
import { ARENA_BYTES_MAX } from './memory/arena.ts';

const NAMES = [
  'host',
  'workerAdminPort',
  'redisUrl',
  'dataDir',
  'store',
  'drainSeconds',
  'threads',
  'memoryBytes',
  'kernel',
  'logLevel',
] as const;

export type WorkerConfig = Omit<Config<(typeof NAMES)[number]>, 'threads' | 'memoryBytes'> & {
  readonly threads: number;
  readonly memoryBytes: number;
};

/** @throws ConfigError that names every wrong variable. */
export function readWorkerConfig(environment: Environment): WorkerConfig {
  const config = readConfig(environment, NAMES);
  return {
    ...config,
    threads: config.threads ?? Math.min(physicalCores(), availableParallelism()),
    memoryBytes: Math.min(config.memoryBytes ?? Math.floor(memoryLimit() / 2), ARENA_BYTES_MAX),
  };
}

/** Of the control group where it has a limit, else of the machine. */
function memoryLimit(): number {
  const limit = process.constrainedMemory();
  return limit > 0 && limit < totalmem() ? limit : totalmem();
}

/** Two hardware threads of a core share its arithmetic units, so a product gains nothing from the second. */
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
