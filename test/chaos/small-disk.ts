// A file system of its own for the store, small enough to be filled: only root can make one, and only on Linux.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { open, rm, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const PIECE = Buffer.alloc(1024 * 1024, 1);

export interface SmallDisk {
  readonly path: string;
  /** Takes all space but `leaveBytes`. @returns what gives it back */
  fill(leaveBytes?: number): Promise<() => Promise<void>>;
  unmount(): void;
}

/** Undefined where this machine does not let us mount one. */
export function mountSmallDisk(bytes: number): SmallDisk | undefined {
  const path = mkdtempSync(join(tmpdir(), 'frechet-disk-'));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${bytes}`, 'frechet-test', path], { stdio: 'ignore' });
  } catch {
    rmSync(path, { recursive: true });
    return undefined;
  }
  const ballast = join(path, 'ballast');
  return {
    path,
    async fill(leaveBytes = 0) {
      const file = await open(ballast, 'w');
      try {
        for (;;) {
          const { bavail, bsize } = await statfs(path);
          const rest = bavail * bsize - leaveBytes;
          if (rest <= 0) break;
          await file.write(PIECE, 0, Math.min(rest, PIECE.byteLength));
        }
      } catch (error) {
        // Somebody else took the last of it.
        if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
      } finally {
        await file.close();
      }
      return () => rm(ballast, { force: true });
    },
    unmount() {
      execFileSync('umount', ['-l', path], { stdio: 'ignore' });
      rmSync(path, { recursive: true });
    },
  };
}
