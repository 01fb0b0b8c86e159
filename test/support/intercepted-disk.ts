// A disk every operation of which passes through the test's hands: it may be counted, refused, or be the last.

import type { Disk, DiskFile } from '../../shared/io/store/disk.ts';

/** Runs an operation, or does not. `name` is that of the operation; one on an open file has the path it was opened at. */
export type Operate = <T>(name: string, path: string, run: () => Promise<T>) => Promise<T>;

const DISK_OPERATIONS = [
  'open',
  'link',
  'rename',
  'unlink',
  'rmdir',
  'rm',
  'mkdir',
  'readdir',
  'stat',
  'statfs',
] as const satisfies readonly (keyof Disk)[];
const FILE_OPERATIONS: ReadonlySet<string | symbol> = new Set(['write', 'datasync', 'sync', 'stat', 'read']);

/** The operations of `disk` as they are now, each through `operate`; `onOpen` hears of every file. */
export function interceptDisk(disk: Disk, operate: Operate, onOpen?: (file: DiskFile) => void): Disk {
  const intercept = (name: keyof Disk) => {
    const run = disk[name] as (...args: unknown[]) => Promise<unknown>;
    return (...args: unknown[]) => {
      const path = String(args[0]);
      return operate(name, path, async () => {
        const result = await run.apply(disk, args);
        if (name !== 'open') return result;
        onOpen?.(result as DiskFile);
        return interceptFile(result as DiskFile, path, operate);
      });
    };
  };
  const entries = DISK_OPERATIONS.map(name => [name, intercept(name)]);
  return Object.fromEntries(entries) as Disk; // all of its operations, with their own signatures
}

function interceptFile(file: DiskFile, path: string, operate: Operate): DiskFile {
  return new Proxy(file, {
    get(target, property) {
      const value: unknown = Reflect.get(target, property, target);
      if (typeof value !== 'function') return value;
      const run = (...args: unknown[]): Promise<unknown> => Reflect.apply(value, target, args);
      if (!FILE_OPERATIONS.has(property)) return run;
      return (...args: unknown[]) => operate(String(property), path, () => run(...args));
    },
  });
}
