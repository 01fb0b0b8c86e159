// A BLAS is tried in another process before this one uses it: one that lacks a library of its own (MKL its OpenMP), or
// dislikes its settings (BLIS kernels that it was built without), ends the process at its first product.

import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const TRIAL = fileURLToPath(new URL('./try-blas.js', import.meta.url));
const TRIAL_MS_MAX = 10_000;

/** Whether the library, as the environment sets it up, passes the kernels' self-test. Takes a tenth of a second. */
export function passesTrial(libraryPath: string): boolean {
  const { status } = spawnSync(process.execPath, [TRIAL, libraryPath], { timeout: TRIAL_MS_MAX });
  return status === 0;
}
