// The disk of a whole stack, as one that can be told to fail: every role is started with `disk-preload.ts` before its
// own main module, and looks at a control file before each operation on the store. Nothing of the product knows of it.

import { rm, writeFile } from 'node:fs/promises';
import { pathToFileURL } from 'node:url';

/** What the control file says; without it the disk works. */
export interface DiskFaults {
  /** Of all operations, as part of 1. */
  readonly share: number;
  readonly code: 'EIO' | 'ENOSPC';
}

export interface FaultyDisk {
  /** What the roles must be started with. */
  readonly env: NodeJS.ProcessEnv;
  fail(faults: DiskFaults): Promise<void>;
  mend(): Promise<void>;
}

/** @param store folder of the store; `control` names a file outside of it that is ours */
export function createFaultyDisk(store: string, control: string): FaultyDisk {
  const preload = pathToFileURL(new URL('disk-preload.js', import.meta.url).pathname);
  preload.search = new URLSearchParams({ store, control }).toString();
  return {
    env: { NODE_OPTIONS: `--import=${preload.href}` },
    fail: faults => writeFile(control, JSON.stringify(faults)),
    mend: () => rm(control, { force: true }),
  };
}
