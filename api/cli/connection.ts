// The service a command talks to: the one that is named, or one of its own, started for the command and gone after it.

import { mkdir, mkdtemp, open, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Environment } from '../../shared/io/config.ts';
import { type Releasers, withReleasers } from '../../shared/io/releasers.ts';
import { type Client, createClient } from '../client/index.ts';
import type { Arguments, OptionTable, Shell } from './command.ts';
import { UsageError } from './exit-codes.ts';

export const SERVICE_OPTIONS: OptionTable = {
  url: { argument: 'URL', help: 'the service to use; default FRECHET_URL' },
  key: { argument: 'KEY', help: 'its API key; default FRECHET_API_KEY' },
  data: {
    argument: 'DIR',
    help: 'without a URL: the data folder of a service of your own; default temporary',
  },
};

/** Settings of a real installation that a service for one command must not touch. */
const NOT_INHERITED = ['FRECHET_STORE', 'FRECHET_HOST', 'FRECHET_API_KEYS_FILE', 'FRECHET_ALLOW_ANONYMOUS'];
/** Whoever interrupts a command does not want to wait for its blocks. */
const DRAIN_SECONDS = '1';
const LOG_LINES_SHOWN = 10;
/** Somebody waits and can try again: less patience than a program has. */
const RETRY = { retries: 3 };

/**
 * Runs `use` with a client.
 *
 * @param scope `any`: a temporary service will do; `existing`: the command is about jobs of earlier commands
 */
export async function withClient<Result>(
  given: Arguments,
  shell: Shell,
  scope: 'any' | 'existing',
  use: (client: Client) => Promise<Result>,
): Promise<Result> {
  const url =
    given.text('url') ?? (given.text('data') ? undefined : shell.environment.FRECHET_URL || undefined);
  const key = given.text('key') ?? (shell.environment.FRECHET_API_KEY || undefined);
  if (url !== undefined) {
    requireUrl(url);
    return use(createClient({ url, key, retry: RETRY }));
  }
  if (scope === 'existing' && given.text('data') === undefined) {
    throw new UsageError(
      'which service has the job? Give --url URL or set FRECHET_URL, or give --data DIR as when it was submitted',
    );
  }
  const { value, release } = await withReleasers(releasers => startOwn(given, shell, releasers));
  try {
    return await use(createClient({ url: value }));
  } finally {
    await release();
  }
}

function requireUrl(url: string): void {
  if (URL.canParse(url) && /^https?:$/.test(new URL(url).protocol)) return;
  throw new UsageError(
    `the service's URL must begin with http:// or https://, and ${JSON.stringify(url)} does not`,
  );
}

async function startOwn(given: Arguments, shell: Shell, releasers: Releasers): Promise<string> {
  shell.signal.throwIfAborted();
  const dataDir = await chooseDataDir(given.text('data'), releasers);
  const logPath = join(dataDir, 'frechet.log');
  const log = await open(logPath, 'a');
  releasers.push('the log', () => log.close());
  // Loaded here: most commands never need it, and it takes longer than they do.
  const { startServices } = await import('../../deploy/local/services.ts');
  try {
    const services = await startServices({
      dataDir,
      env: ownEnvironment(shell.environment),
      ports: 'free',
      output: log.fd,
      signal: shell.signal,
      log: line => void log.write(`${line}\n`).catch(() => undefined),
    });
    releasers.push('the service', services.stop);
    return services.url;
  } catch (error) {
    shell.signal.throwIfAborted();
    const text = await readFile(logPath, 'utf8');
    shell.stderr.write(`${text.trimEnd().split('\n').slice(-LOG_LINES_SHOWN).join('\n')}\n`);
    throw error;
  }
}

async function chooseDataDir(named: string | undefined, releasers: Releasers): Promise<string> {
  if (named !== undefined) {
    await mkdir(named, { recursive: true });
    return resolve(named);
  }
  const dataDir = await mkdtemp(join(tmpdir(), 'frechet-'));
  releasers.push('the data folder', () => rm(dataDir, { recursive: true, force: true }));
  return dataDir;
}

function ownEnvironment(environment: Environment): NodeJS.ProcessEnv {
  const kept = Object.entries(environment).filter(([name]) => !NOT_INHERITED.includes(name));
  return { FRECHET_DRAIN_SECONDS: DRAIN_SECONDS, ...Object.fromEntries(kept) };
}
