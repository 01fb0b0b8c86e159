// One private Redis: started with the settings Frechet needs, awaited, stopped. It listens on a Unix socket or on
// a loopback port, keeps an append-only file, and never evicts: an evicted key would be a lost piece of the queue.

import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, readFile, rm } from 'node:fs/promises';
import { connect, type NetConnectOpts } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { FrechetError } from '../../shared/errors.ts';
import { findCommand, type RedisBinary } from './redis-binary.ts';
import { runCommand } from './run-command.ts';

/** A long append-only file takes a while to load. */
const READY_MS_MAX = 120_000;
const PING_MS_MAX = 2_000;
const STOP_MS_MAX = 10_000;
const POLL_MS = 15;

export type RedisAddress = { readonly socket: string } | { readonly port: number };

export interface RedisProcess {
  readonly url: string;
  readonly pid: number;
  /** Resolves when the process has ended, for whatever reason. */
  readonly ended: Promise<void>;
  /** SIGTERM, which writes everything out; SIGKILL after 10 s. Resolves once it has ended; repeatable. */
  stop(): Promise<void>;
}

export interface StartRedisOptions {
  readonly binary: RedisBinary;
  /** Its data folder, made with mode 0700. One Redis a folder: the caller sees to that. */
  readonly dir: string;
  readonly address: RedisAddress;
  /** To find `setpriv`, which ties its life to ours. */
  readonly searchPath: string;
  /** Further settings, as on its command line. */
  readonly settings?: readonly string[];
}

export function redisUrl(address: RedisAddress): string {
  return 'socket' in address ? `unix:${address.socket}` : `redis://127.0.0.1:${address.port}`;
}

/**
 * Starts Redis and resolves when it answers.
 *
 * @throws unavailable, with the end of its log, where it ends instead
 */
export async function startRedis(options: StartRedisOptions): Promise<RedisProcess> {
  const { dir, address } = options;
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const logFile = join(dir, 'redis.log');
  await rm(logFile, { force: true });
  const child = await spawnRedis(options, logFile);
  const ended = new Promise<void>(resolve => child.once('close', () => resolve()));
  const stop = () => stopRedis(child, ended);
  try {
    await waitUntilReady(address, child, logFile);
  } catch (error) {
    await stop();
    throw error;
  }
  return { url: redisUrl(address), pid: child.pid as number, ended, stop }; // a spawned child has a pid
}

async function spawnRedis(options: StartRedisOptions, logFile: string): Promise<ChildProcess> {
  const { command, libraryPath } = options.binary;
  const line = [...(await bindLife(options.searchPath)), command, ...commandLine(options, logFile)];
  const child = spawn(line[0] as string, line.slice(1), {
    // Its own process group: Ctrl-C reaches us alone, and Redis stays until everyone who needs it has gone.
    detached: true,
    stdio: 'ignore',
    env: { ...process.env, ...(libraryPath === undefined ? {} : { LD_LIBRARY_PATH: libraryPath }) },
  });
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve);
    child.once('error', cause =>
      reject(new FrechetError('unavailable', `Redis cannot be run: ${cause.message}`, {}, { cause })),
    );
  });
  return child;
}

/**
 * On Linux, has the kernel send Redis SIGTERM should we be killed. Elsewhere it outlives us until `npm start` is run
 * again and finds it on its socket.
 */
async function bindLife(searchPath: string): Promise<string[]> {
  const setpriv = await findCommand('setpriv', searchPath);
  if (setpriv === undefined) return [];
  const line = [setpriv, '--pdeathsig', 'TERM'];
  const { code } = await runCommand(setpriv, [...line.slice(1), process.execPath, '--version']);
  return code === 0 ? line : [];
}

function commandLine({ dir, address, settings = [] }: StartRedisOptions, logFile: string): string[] {
  const listen =
    'socket' in address
      ? ['--port', '0', '--unixsocket', address.socket, '--unixsocketperm', '700']
      : ['--port', String(address.port), '--bind', '127.0.0.1'];
  return [
    ...listen,
    ...['--dir', dir, '--logfile', logFile, '--loglevel', 'warning'],
    ...['--appendonly', 'yes', '--appendfsync', 'everysec', '--save', ''],
    ...['--maxmemory-policy', 'noeviction', '--daemonize', 'no'],
    ...settings,
  ];
}

async function waitUntilReady(address: RedisAddress, child: ChildProcess, logFile: string): Promise<void> {
  const deadline = Date.now() + READY_MS_MAX;
  while ((await pingRedis(address)) !== 'ready') {
    if (child.exitCode !== null || child.signalCode !== null) await failToStart(logFile);
    if (Date.now() > deadline) throw new FrechetError('unavailable', 'Redis did not answer in time');
    await sleep(POLL_MS);
  }
}

async function failToStart(logFile: string): Promise<never> {
  const log = await readFile(logFile, 'utf8').catch(() => '');
  const reason = log.trim().split('\n').slice(-3).join(' | ');
  throw new FrechetError('unavailable', `Redis ended while starting: ${reason}`);
}

async function stopRedis(child: ChildProcess, ended: Promise<void>): Promise<void> {
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS_MAX);
  await ended;
  clearTimeout(timer);
}

/**
 * Asks over a bare socket whether a Redis is there: this must not wait, retry or queue as a client would.
 *
 * @returns `absent` where nobody listens, `loading` where somebody does and has not said PONG
 */
export function pingRedis(address: RedisAddress): Promise<'ready' | 'loading' | 'absent'> {
  const target: NetConnectOpts =
    'socket' in address ? { path: address.socket } : { host: '127.0.0.1', port: address.port };
  return new Promise(resolve => {
    const socket = connect(target);
    let isConnected = false;
    const finish = (answer: 'ready' | 'loading' | 'absent') => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(PING_MS_MAX, () => finish('loading'));
    socket.once('connect', () => {
      isConnected = true;
      socket.write('PING\r\n');
    });
    socket.once('data', bytes => finish(bytes.toString().startsWith('+PONG') ? 'ready' : 'loading'));
    socket.once('error', () => finish(isConnected ? 'loading' : 'absent'));
    socket.once('end', () => finish('absent'));
  });
}
