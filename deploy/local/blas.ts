// A BLAS for the native kernel: the distribution's serial BLIS, unpacked without root. Doing without is normal: then
// the WASM kernel computes, at about half the speed.

import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { ensurePackages } from './packages.ts';

/** One package of 4.5 MB that needs only libc, libm and libpthread. */
const DEBIAN_PACKAGES = ['libblis4-serial'];
/** Debian keeps each build of BLIS in a folder of its own, for its alternatives. */
const SERIAL_FOLDER = 'blis-serial';

/** Kernels that ask for no BLAS; setting one of them is how to opt out. */
const WITHOUT_BLAS = new Set(['wasm', 'reference']);

/**
 * The folder that `LD_LIBRARY_PATH` of a worker has to hold; undefined where no BLAS is wanted or none can be had.
 *
 * @param kernel FRECHET_KERNEL
 */
export async function findBlas(kernel: string, log: (line: string) => void): Promise<string | undefined> {
  if (WITHOUT_BLAS.has(kernel)) return undefined;
  try {
    const { libraryPath } = await ensurePackages('blas', DEBIAN_PACKAGES, { log });
    return libraryPath
      .split(delimiter)
      .map(folder => join(folder, SERIAL_FOLDER))
      .find(folder => existsSync(folder));
  } catch (error) {
    log(`no BLAS was fetched, workers use the system's or the WASM kernel: ${(error as Error).message}`);
    return undefined;
  }
}
