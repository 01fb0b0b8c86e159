// Preloaded into a role: the file system, where it is asked for the store, fails as a control file says. Both paths come
// in the query of this module's URL.

import { readFileSync } from 'node:fs';
import fs from 'node:fs/promises';
import { sep } from 'node:path';
import { interceptDisk, type Operate } from '../support/intercepted-disk.ts';
import type { DiskFaults } from './disk-faults.ts';

const parameters = new URL(import.meta.url).searchParams;
const [store, control] = [parameters.get('store'), parameters.get('control')];
if (store !== null && control !== null) preload(store, control);

function preload(store: string, control: string): void {
  const operate: Operate = async (name, path, run) => {
    const faults = path === store || path.startsWith(store + sep) ? currentFaults(control) : undefined;
    if (faults === undefined || Math.random() >= faults.share) return run();
    // Half of what fails has happened all the same. (A file that was opened nobody would close.)
    if (name !== 'open' && Math.random() < 0.5) await run();
    throw Object.assign(new Error(`${faults.code}: ${name}`), { code: faults.code });
  };
  Object.assign(fs, interceptDisk({ ...fs }, operate));
}

function currentFaults(control: string): DiskFaults | undefined {
  try {
    return JSON.parse(readFileSync(control, 'utf8')) as DiskFaults;
  } catch {
    // There is none, or it is being written.
    return undefined;
  }
}
