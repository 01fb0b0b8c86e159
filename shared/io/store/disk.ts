// What the file store needs of a file system, as one value, so that a test can make any single step fail.

import fs from 'node:fs/promises';
import { FrechetError } from '../../errors.ts';

export type Disk = Pick<
  typeof fs,
  'open' | 'link' | 'rename' | 'unlink' | 'rmdir' | 'rm' | 'mkdir' | 'readdir' | 'stat' | 'statfs'
>;
export type DiskFile = Awaited<ReturnType<Disk['open']>>;

export const disk: Disk = fs;

/** Bytes of one read or write call: Linux and Node stop at 2 GiB, and more is no faster. */
export const CALL_BYTES_MAX = 1024 ** 3;

/** The system's name of a failure, as `ENOENT`. */
export function systemCode(error: unknown): string | undefined {
  const code = (error as NodeJS.ErrnoException | null | undefined)?.code;
  return typeof code === 'string' && /^E[A-Z0-9]+$/.test(code) ? code : undefined;
}

const ABSENT: ReadonlySet<string | undefined> = new Set(['ENOENT', 'ENOTDIR', 'EISDIR']);

/** True where no file is at the path: nothing at all, a file on the way to it, or a folder. */
export function isAbsent(error: unknown): boolean {
  return ABSENT.has(systemCode(error));
}

const FULL = new Set(['ENOSPC', 'EDQUOT']);
const FULL_RETRY_SECONDS = 60;
const OUTAGE_RETRY_SECONDS = 5;

/** Runs file operations and translates their failures; what is not the file system's failure passes unchanged. */
export async function translated<T>(action: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    const code = systemCode(error);
    if (code === undefined) throw error;
    throw FULL.has(code)
      ? new FrechetError(
          'store-full',
          'The store has no space left; free some, or retry later.',
          { retryAfterSeconds: FULL_RETRY_SECONDS },
          { cause: error },
        )
      : new FrechetError(
          'unavailable',
          `The store could not ${action} (${code}); retry later.`,
          { retryAfterSeconds: OUTAGE_RETRY_SECONDS },
          { cause: error },
        );
  }
}
