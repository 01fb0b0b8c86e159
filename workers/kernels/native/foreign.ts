// The one place that calls foreign functions. koffi is an optional dependency: where it is missing, or has no binary
// for this platform, there is no native kernel, and nothing else changes.

import { createRequire } from 'node:module';

/** The part of koffi that is used here; declared so that the code compiles where koffi is not installed. */
interface Koffi {
  load(path: string): { func(prototype: string): (...values: unknown[]) => unknown };
}

export type ForeignFunction = (...values: unknown[]) => unknown;

/** A loaded library; handles belong to the thread that loaded them. */
export interface ForeignLibrary {
  /** The function of a C prototype, or undefined where the library does not export it. */
  find(prototype: string): ForeignFunction | undefined;
}

/** @returns undefined where koffi is not there. */
function koffi(): Koffi | undefined {
  try {
    // The cast is koffi's documented interface; the self-test of the kernel stands behind it.
    return createRequire(import.meta.url)('koffi') as Koffi;
  } catch {
    return undefined;
  }
}

export function foreignFunctionsWork(): boolean {
  return koffi() !== undefined;
}

/** Loads a library by path, or by a name that the system's loader finds. @returns undefined where it cannot. */
export function loadLibrary(path: string): ForeignLibrary | undefined {
  const foreign = koffi();
  if (foreign === undefined) return undefined;
  try {
    const library = foreign.load(path);
    return { find: prototype => findFunction(library, prototype) };
  } catch {
    return undefined;
  }
}

function findFunction(library: ReturnType<Koffi['load']>, prototype: string): ForeignFunction | undefined {
  try {
    return library.func(prototype);
  } catch {
    return undefined;
  }
}
