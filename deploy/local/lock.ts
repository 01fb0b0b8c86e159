// Mutual exclusion between processes of one machine, through a file that holds its owner's pid. A lock whose owner
// is gone is taken over. Meant for start-up work of seconds to minutes, not for anything frequent.

import { link, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';

const POLL_MS = 50;
const HEARTBEAT_MS = 2_000;
/** A live owner touches its lock far more often. Without this, a pid reused after a reboot would hold it for ever. */
const SILENCE_MS_MAX = 30_000;

let sequence = 0;

/** Runs `work` while no other process, nor other call in this one, holds the lock at `path`. */
export async function withLock<Result>(path: string, work: () => Promise<Result>): Promise<Result> {
  await acquire(path);
  const heartbeat = setInterval(() => void touch(path), HEARTBEAT_MS).unref();
  try {
    return await work();
  } finally {
    clearInterval(heartbeat);
    await rm(path, { force: true });
  }
}

async function acquire(path: string): Promise<void> {
  // Linked, not created: a lock file is never seen without its pid.
  const ours = `${path}.${process.pid}.${sequence++}`;
  await writeFile(ours, String(process.pid));
  try {
    while (!(await tryLink(ours, path))) {
      if (await isAbandoned(path)) await discard(path, ours);
      else await sleep(POLL_MS);
    }
  } finally {
    await rm(ours, { force: true });
  }
}

async function tryLink(from: string, to: string): Promise<boolean> {
  try {
    await touch(from);
    await link(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/**
 * Removes an abandoned lock, one waiter at a time: between looking at it and removing it nobody else may have removed
 * it and taken the lock.
 */
async function discard(path: string, ours: string): Promise<void> {
  const turn = `${path}.takeover`;
  if (!(await tryLink(ours, turn))) {
    // Who died in these few instructions leaves its turn behind; it is over when it is silent.
    if (await isAbandoned(turn)) await rm(turn, { force: true });
    await sleep(POLL_MS);
    return;
  }
  try {
    if (await isAbandoned(path)) await rm(path, { force: true });
  } finally {
    await rm(turn, { force: true });
  }
}

async function isAbandoned(path: string): Promise<boolean> {
  try {
    const [pid, { mtimeMs }] = await Promise.all([readFile(path, 'utf8'), stat(path)]);
    if (Date.now() - mtimeMs > SILENCE_MS_MAX) return true;
    process.kill(Number(pid), 0);
    return false;
  } catch (error) {
    // ENOENT: released meanwhile. EPERM: alive, and another user's.
    return (error as NodeJS.ErrnoException).code === 'ESRCH';
  }
}

async function touch(path: string): Promise<void> {
  const now = new Date();
  await utimes(path, now, now).catch(() => undefined); // A lock taken from us is noticed nowhere else either.
}
