// A disk on which one chosen operation fails, or at which the process dies: from there on nothing happens any more. It
// also keeps a log, from which the order of what reached the disk can be judged.

import type { Disk, DiskFile } from '../../../../shared/io/store/disk.ts';
import { disk } from '../../../../shared/io/store/disk.ts';
import { interceptDisk } from '../../../support/intercepted-disk.ts';

export interface UnreliableDisk {
  readonly disk: Disk;
  /** `operation path`, in the order in which the operations ended; those of a file have the path it was opened at. */
  readonly log: readonly string[];
  /** Operations begun. */
  readonly count: () => number;
  /** Resolves when the process would have died. */
  readonly died: Promise<void>;
  /** Closes what a dead process leaves open. */
  close(): Promise<void>;
}

export type Failure = 'EIO' | 'ENOSPC' | 'death';

/** Operation number `at` (from 1) meets `failure`; without one the disk only keeps its log. */
export function unreliableDisk(at = Number.POSITIVE_INFINITY, failure: Failure = 'EIO'): UnreliableDisk {
  const log: string[] = [];
  const files: DiskFile[] = [];
  let count = 0;
  let die = (): void => undefined;
  const died = new Promise<void>(resolve => {
    die = resolve;
  });
  const operate = async <T>(name: string, path: string, run: () => Promise<T>): Promise<T> => {
    count += 1;
    if (failure === 'death' && count >= at) {
      die();
      return new Promise<T>(() => undefined);
    }
    if (count === at) throw Object.assign(new Error(`${failure}: ${name}`), { code: failure });
    const result = await run();
    log.push(`${name} ${path}`);
    return result;
  };
  return {
    disk: interceptDisk(disk, operate, file => void files.push(file)),
    log,
    count: () => count,
    died,
    close: async () => void (await Promise.all(files.map(file => file.close()))),
  };
}
