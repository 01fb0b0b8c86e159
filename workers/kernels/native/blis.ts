// BLIS takes its kernels by the family of the processor, and portable C, at a fifth of the speed, where it does not know
// it; up to 2.0 it knows no AMD after Zen 4 (flame/blis#912). There it is told which of its kernels the processor runs,
// by the variable it has for that, unless somebody has set it. It reads it once, at the first call of anything.

import { readFileSync } from 'node:fs';
import { type ForeignLibrary, loadLibrary } from './foreign.ts';
import { passesTrial } from './trial.ts';

const VARIABLE = 'BLIS_ARCH_TYPE';
const AMD_FAMILY_KNOWN_MAX = 0x19;
/** What a set of kernels needs of a processor, the fastest set first; flags as Linux names them. */
const KERNEL_SETS: ReadonlyMap<string, readonly string[]> = new Map([
  ['skx', ['avx512f', 'avx512dq', 'avx512bw', 'avx512vl', 'fma']],
  ['zen3', ['avx2', 'fma']],
]);
/** BLIS's list of kernel sets ends with this one. */
const LAST_NAME = 'generic';
const NAMES_MAX = 64;

/**
 * To be called before any other function of the library in this process; does nothing where BLIS chooses well by itself.
 * @returns whether it took the advice and passed its trial with it
 */
export function adviseBlis(libraryPath: string): boolean {
  const wanted = kernelSets(processorInfo());
  const library = wanted.length === 0 ? undefined : loadLibrary(libraryPath);
  if (library === undefined) return false;
  const names = knownNames(library);
  const id = wanted.map(name => names.indexOf(name)).find(index => index >= 0);
  return id !== undefined && setVariable(String(id), () => passesTrial(libraryPath));
}

/** The kernel sets that a processor unknown to BLIS can run, the fastest first; none for one that it knows. */
export function kernelSets(cpuinfo: string): string[] {
  const field = (name: string) => new RegExp(`^${name}\\s*: (.*)$`, 'm').exec(cpuinfo)?.[1] ?? '';
  const isUnknown =
    field('vendor_id') === 'AuthenticAMD' && Number(field('cpu family')) > AMD_FAMILY_KNOWN_MAX;
  if (!isUnknown) return [];
  const flags = new Set(field('flags').split(' '));
  return [...KERNEL_SETS].filter(([, needed]) => needed.every(flag => flags.has(flag))).map(([name]) => name);
}

function processorInfo(): string {
  try {
    return readFileSync('/proc/cpuinfo', 'utf8');
  } catch {
    return '';
  }
}

/** By their ids. Reading past the last would read past an array of BLIS. */
function knownNames(library: ForeignLibrary): string[] {
  const nameOf = library.find('const char *bli_arch_string(int id)');
  const names: string[] = [];
  while (nameOf !== undefined && names.at(-1) !== LAST_NAME && names.length < NAMES_MAX) {
    names.push(String(nameOf(names.length)));
  }
  return names.at(-1) === LAST_NAME ? names : [];
}

/** Through the C library, which is where BLIS looks: the environment as JavaScript sees it may be a copy. */
function setVariable(value: string, isGood: () => boolean): boolean {
  const libc = loadLibrary('libc.so.6');
  const set = libc?.find('int setenv(const char *name, const char *value, int overwrite)');
  const get = libc?.find('const char *getenv(const char *name)');
  const unset = libc?.find('int unsetenv(const char *name)');
  if (!set || !get || !unset || get(VARIABLE) !== null) return false;
  set(VARIABLE, value, 0);
  if (isGood()) return true;
  unset(VARIABLE);
  return false;
}
