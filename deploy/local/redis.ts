// Where Redis comes from: a given URL, else a private one that lives in the data folder on a Unix socket. Several
// commands may share a data folder, then the first starts Redis and the others use it.

import { mkdir, mkdtemp, readFile, stat, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { FrechetError } from '../../shared/errors.ts';
import { withLock } from './lock.ts';
import { findRedis } from './redis-binary.ts';
import { pingRedis, redisUrl, startRedis } from './redis-process.ts';

/** A socket's path must fit a fixed field of the kernel: 108 bytes on Linux, 104 on macOS, with a closing zero. */
const SOCKET_PATH_BYTES_MAX = 103;
const LOADING_MS_MAX = 120_000;
const POLL_MS = 50;

export interface RedisService {
  readonly url: string;
  /** Whether we started it, and so whether `stop` ends it. */
  readonly owned: boolean;
  /** Resolves when it has gone; never for a Redis given by URL, which is not ours to watch. */
  readonly ended: Promise<void>;
  stop(): Promise<void>;
}

export interface EnsureRedisOptions {
  /** A Redis that somebody else runs. Wins over everything below. */
  readonly url?: string | undefined;
  readonly dataDir: string;
  /** Folders to look for programs in, as in `PATH`. */
  readonly searchPath: string;
  readonly log: (line: string) => void;
}

/**
 * A Redis that answers, started if need be.
 *
 * @throws unavailable where there is none and none can be had; the message names the remedies
 */
export async function ensureRedis(options: EnsureRedisOptions): Promise<RedisService> {
  if (options.url)
    return { url: options.url, owned: false, ended: new Promise(() => {}), stop: async () => {} };
  const dir = resolve(options.dataDir, 'redis');
  await mkdir(dir, { recursive: true, mode: 0o700 });
  // Two servers on one append-only file would ruin it, and Redis takes a socket over without asking.
  return withLock(join(dir, 'lock'), async () => {
    const socket = await chooseSocket(dir);
    return (await useRunning(socket, options.log)) ?? (await startOwn(dir, socket, options));
  });
}

async function startOwn(dir: string, socket: string, options: EnsureRedisOptions): Promise<RedisService> {
  const { searchPath, log } = options;
  const binary = await findRedis({ searchPath, log });
  const redis = await startRedis({ binary, dir, address: { socket }, searchPath });
  log(`Redis ${binary.version} started (pid ${redis.pid})`);
  return { url: redis.url, owned: true, ended: redis.ended, stop: redis.stop };
}

/** A Redis that another command runs, or left behind when it was killed. */
async function useRunning(socket: string, log: (line: string) => void): Promise<RedisService | undefined> {
  const deadline = Date.now() + LOADING_MS_MAX;
  for (;;) {
    const answer = await pingRedis({ socket });
    if (answer === 'absent') return undefined;
    if (answer === 'ready') break;
    if (Date.now() > deadline) {
      throw new FrechetError('unavailable', 'a Redis listens in the data folder and does not answer');
    }
    await sleep(POLL_MS);
  }
  log('using the Redis that already runs in the data folder');
  const watch = connect({ path: socket });
  const ended = new Promise<void>(done => watch.once('error', () => {}).once('close', () => done()));
  const stop = async () => {
    watch.destroy();
  };
  return { url: redisUrl({ socket }), owned: false, ended, stop };
}

/** In the data folder; where that path is too long, in a private temporary folder that a file in `dir` names. */
async function chooseSocket(dir: string): Promise<string> {
  const socket = join(dir, 'redis.sock');
  if (Buffer.byteLength(socket) <= SOCKET_PATH_BYTES_MAX) return socket;
  const record = join(dir, 'redis.sock.path');
  const recorded = await readFile(record, 'utf8').catch(() => '');
  if (recorded !== '' && (await isPrivateFolder(join(recorded, '..')))) return recorded;
  const chosen = join(await mkdtemp(join(tmpdir(), 'frechet-')), 'redis.sock');
  await writeFile(record, chosen, { mode: 0o600 });
  return chosen;
}

/** Anybody may write to the temporary folder: trust what is ours and closed to others. */
async function isPrivateFolder(path: string): Promise<boolean> {
  const info = await stat(path).catch(() => undefined);
  return info?.isDirectory() === true && info.uid === process.getuid?.() && (info.mode & 0o077) === 0;
}
