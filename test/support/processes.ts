// A whole Frechet for system tests: a real Redis, a gateway and workers as processes of their own, on free ports, over
// a temporary folder.

import { mkdtemp, open, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type RunningServices, startServices } from '../../deploy/local/services.ts';
import { withReleasers } from '../../shared/io/releasers.ts';

/** Settings of the machine the tests run on that must not leak into them. */
const INHERITED = new Set(['PATH', 'HOME', 'TMPDIR', 'LANG', 'TZ', 'LD_LIBRARY_PATH']);

export interface StackOptions {
  readonly workers?: number;
  /** FRECHET_* settings of all roles. */
  readonly env?: NodeJS.ProcessEnv;
}

/**
 * What `startServices` answers, with `url` the base of every request; a role that is killed starts again at its old
 * URL. `stop` also removes the data.
 */
export interface Stack extends RunningServices {
  readonly dataDir: string;
  /** What the roles have logged so far. */
  readLog(): Promise<string>;
}

/** Starts a stack of its own; the caller stops it. Where it does not start, the error holds the roles' log. */
export async function startStack(options: StackOptions = {}): Promise<Stack> {
  const { value, release } = await withReleasers(async releasers => {
    const dataDir = await mkdtemp(join(tmpdir(), 'frechet-stack-'));
    releasers.push('the data folder', () => rm(dataDir, { recursive: true, force: true }));
    const logPath = join(dataDir, 'log');
    const log = await open(logPath, 'a');
    releasers.push('the log', () => log.close());
    const readLog = () => readFile(logPath, 'utf8');
    const services = await startServices({
      dataDir,
      env: { ...inheritedEnvironment(), ...options.env },
      ports: 'free',
      workers: options.workers ?? 1,
      output: log.fd,
      log: line => void log.write(`${line}\n`),
    }).catch(async cause => {
      throw new Error(`${(cause as Error).message}\n${await readLog()}`, { cause });
    });
    releasers.push('the services', services.stop);
    return { ...services, dataDir, readLog };
  });
  return { ...value, stop: release };
}

function inheritedEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => INHERITED.has(name)));
}
