// The worker's settings; what the environment leaves open follows from the machine.

import { totalmem } from 'node:os';
import { type Config, type Environment, readConfig } from '../shared/io/config.ts';
import { computeCores } from '../shared/io/cores.ts';
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
  /** What one process can address, at most. */
  readonly memoryBytes: number;
  /** What the environment said beyond that. */
  readonly unusedMemoryBytes: number;
};

/** @throws ConfigError that names every wrong variable. */
export function readWorkerConfig(environment: Environment): WorkerConfig {
  const config = readConfig(environment, NAMES);
  const given = config.memoryBytes ?? Math.floor(memoryLimit() / 2);
  const memoryBytes = Math.min(given, ARENA_BYTES_MAX);
  return {
    ...config,
    threads: config.threads ?? computeCores(),
    memoryBytes,
    unusedMemoryBytes: given - memoryBytes,
  };
}

/** Of the control group where it has a limit, else of the machine. */
function memoryLimit(): number {
  const limit = process.constrainedMemory();
  return limit > 0 && limit < totalmem() ? limit : totalmem();
}
