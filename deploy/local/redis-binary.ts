// Finds a Redis to run: on the search path, else in the distribution's package.

import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { FrechetError } from '../../shared/errors.ts';
import { ensurePackages } from './packages.ts';
import { runCommand } from './run-command.ts';

const SERVER_NAMES = ['redis-server', 'valkey-server'];
const VERSION_MIN = [6, 2] as const;
const REMEDIES = 'install Redis or Valkey 6.2 or newer, or set FRECHET_REDIS_URL';

/** `redis-server` is a link into redis-tools. Slim images lack libssl; libssl3t64 is its name from Debian 13 on. */
const DEBIAN_PACKAGES = [
  'redis-server',
  'redis-tools',
  'liblzf1',
  'libjemalloc2',
  'libatomic1',
  'libssl3 | libssl3t64',
  'libsystemd0',
];

export interface RedisBinary {
  readonly command: string;
  readonly version: string;
  /** Where its libraries are, if not where the system looks. */
  readonly libraryPath?: string;
}

export interface FindRedisOptions {
  /** Folders to look in, as in `PATH`. */
  readonly searchPath: string;
  readonly log?: (line: string) => void;
}

/** @throws unavailable, naming both remedies, where there is no Redis and none can be fetched */
export async function findRedis(options: FindRedisOptions): Promise<RedisBinary> {
  const installed = await findInstalled(options.searchPath);
  if (installed !== undefined) return installed;
  try {
    return await fetchPackaged(options.log);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new FrechetError('unavailable', `there is no Redis here: ${REMEDIES} (${reason})`, {}, { cause });
  }
}

async function findInstalled(searchPath: string): Promise<RedisBinary | undefined> {
  for (const name of SERVER_NAMES) {
    const command = await findCommand(name, searchPath);
    const version = command === undefined ? undefined : await readVersion(command);
    if (command !== undefined && version !== undefined && isSupported(version)) return { command, version };
  }
  return undefined;
}

async function fetchPackaged(log?: (line: string) => void): Promise<RedisBinary> {
  const { root, libraryPath } = await ensurePackages('redis', DEBIAN_PACKAGES, log ? { log } : {});
  const command = join(root, 'usr/bin/redis-server');
  const version = await readVersion(command, libraryPath);
  if (version === undefined || !isSupported(version)) {
    throw new FrechetError('unavailable', `this release packages Redis ${version ?? 'that does not run'}`);
  }
  return { command, version, libraryPath };
}

/** The first executable file of that name on a search path. */
export async function findCommand(name: string, searchPath: string): Promise<string | undefined> {
  for (const folder of searchPath.split(delimiter).filter(part => part !== '')) {
    const path = join(folder, name);
    const found = await access(path, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (found) return path;
  }
  return undefined;
}

/** Undefined where the program does not run. Redis and Valkey both print `… server v=7.0.15 …`. */
async function readVersion(command: string, libraryPath?: string): Promise<string | undefined> {
  const env = libraryPath === undefined ? undefined : { LD_LIBRARY_PATH: libraryPath };
  const result = await runCommand(command, ['--version'], env ? { env } : {}).catch(() => undefined);
  return /\bv=(\d+\.\d+\.\d+)/.exec(result?.output ?? '')?.[1];
}

function isSupported(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return major > VERSION_MIN[0] || (major === VERSION_MIN[0] && minor >= VERSION_MIN[1]);
}
