// Kills a process at one of its own system calls: strace, from the search path or from Debian's package without root.

import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { ensurePackages } from '../../deploy/local/packages.ts';
import { findCommand } from '../../deploy/local/redis-binary.ts';

const PACKAGES = ['strace', 'libunwind8', 'liblzma5'];
const ATTACH_MS_MAX = 10_000;

export interface Strace {
  readonly command: string;
  readonly libraryPath?: string;
}

export interface Assassin {
  /** Lets go of the process, where it still lives. */
  stop(): Promise<void>;
}

/** Undefined where there is none to be had, or where it may not look at other processes. */
export async function findStrace(searchPath: string): Promise<Strace | undefined> {
  const strace = await locate(searchPath);
  if (strace === undefined) return undefined;
  // Attaching to others is what containers forbid.
  const victim = spawn('sleep', ['30'], { stdio: 'ignore' });
  try {
    const assassin = await killAt(strace, victim.pid ?? 0, { syscall: 'openat', at: 1 });
    await assassin.stop();
    return strace;
  } catch {
    return undefined;
  } finally {
    victim.kill('SIGKILL');
  }
}

async function locate(searchPath: string): Promise<Strace | undefined> {
  const command = await findCommand('strace', searchPath);
  if (command !== undefined) return { command };
  const unpacked = await ensurePackages('strace', PACKAGES).catch(() => undefined);
  if (unpacked === undefined) return undefined;
  return { command: join(unpacked.root, 'usr/bin/strace'), libraryPath: unpacked.libraryPath };
}

export interface CrashPoint {
  readonly syscall: string;
  /** The how-manieth such call from now on, from 1, is the one that never happens. Each thread counts its own. */
  readonly at: number;
}

/** Resolves when the process and all of its threads are watched. @throws where strace may not */
export async function killAt(
  { command, libraryPath }: Strace,
  pid: number,
  { syscall, at }: CrashPoint,
): Promise<Assassin> {
  const child = spawn(
    command,
    ['-f', '-p', String(pid), '-o', '/dev/null', '-e', `trace=${syscall}`, '-e', `inject=${syscall}:signal=KILL:when=${at}`],
    {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, ...(libraryPath === undefined ? {} : { LD_LIBRARY_PATH: libraryPath }) },
    },
  ); // biome-ignore format: a command line
  const ended = new Promise<void>(resolve => child.once('close', () => resolve()));
  let said = '';
  await new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`strace did not attach: ${said}`)), ATTACH_MS_MAX);
    child.once('error', reject);
    child.stderr.on('data', text => {
      said += text;
      if (!/attached/.test(said)) return;
      clearTimeout(timer);
      resolve();
    });
    child.once('close', () => {
      clearTimeout(timer);
      reject(new Error(`strace ended: ${said}`));
    });
  });
  return {
    async stop() {
      // After the death of a process with many threads it may wait for ever. The living go on when their tracer has gone.
      child.kill('SIGKILL');
      await ended;
    },
  };
}
