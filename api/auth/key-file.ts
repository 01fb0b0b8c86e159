// The key file, read again when it changes: keys come and go without a restart. A file that cannot be used changes
// nothing, because locking everybody out helps nobody.

import { readFile } from 'node:fs/promises';
import type { Logger } from '../../shared/io/logger.ts';
import { parseTenants, type Tenants } from './tenants.ts';

/** Watching by reading works on any volume, and through the symbolic links of a mounted secret. */
const LOOK_AGAIN_MS = 2_000;

export interface WatchedTenants extends Tenants {
  /** Looks at the file now instead of a little later. */
  refresh(): Promise<void>;
  stop(): void;
}

/** @throws where the file cannot be used at the start */
export async function watchKeyFile(path: string, log: Logger): Promise<WatchedTenants> {
  let seen: string | undefined = await readFile(path, 'utf8');
  let tenants = parseTenants(seen);

  async function refresh(): Promise<void> {
    try {
      const text = await readFile(path, 'utf8');
      if (text === seen) return;
      // Before it is parsed: what is wrong with a file is said once.
      seen = text;
      tenants = parseTenants(text);
      log.info('the API keys have been read again');
    } catch (error) {
      if (seen === undefined) return;
      if (isSystemError(error)) seen = undefined;
      log.error({ err: error }, 'the API keys cannot be read; those known before stay');
    }
  }

  const timer = setInterval(refresh, LOOK_AGAIN_MS).unref();
  return {
    identify: authorization => tenants.identify(authorization),
    limitsOf: tenant => tenants.limitsOf(tenant),
    refresh,
    stop: () => clearInterval(timer),
  };
}

/** The file is away, and its return is news. */
function isSystemError(error: unknown): boolean {
  return typeof (error as { errno?: unknown }).errno === 'number';
}
