// Keeps one role running, as a supervisor in production would: started, awaited, restarted with a growing delay when
// it dies, stopped with a grace period. A role is a module that reports over IPC when it listens, drains on SIGTERM,
// and goes too when its parent has gone ('disconnect').

import { type ChildProcess, fork } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { FrechetError } from '../../shared/errors.ts';

const READY_MS_MAX = 60_000;
const RESTART_MS_MIN = 250;
/** One that gives up before it is ready has its reasons, and is not asked for often … */
const RESTART_MS_MAX = 15_000;
/** … one that came up, or was killed, serves again soon, though it die again and again. */
const RESTART_SOON_MS_MAX = 1_000;
/** A role that ran this long was healthy, and its next restart is quick again. */
const HEALTHY_MS_MIN = 30_000;

/** What a role sends its parent once it listens. A worker has no public URL. */
export interface ReadyMessage {
  readonly type: 'ready';
  readonly role: string;
  readonly url?: string | null;
  readonly adminUrl: string;
}

export interface RoleOptions {
  /** What messages call it. */
  readonly name: string;
  /** The compiled module. */
  readonly module: string;
  /** Its environment, given what it reported when it first ran: a restarted role must come back where it was. */
  readonly env: (first: ReadyMessage | undefined) => NodeJS.ProcessEnv;
  /** Where its output goes: ours, or an open file. */
  readonly output: 'inherit' | number;
  /** What it may take from SIGTERM to its end before it is killed. */
  readonly graceMs: number;
  /** Gives up waiting for the first start. */
  readonly signal?: AbortSignal | undefined;
  readonly log: (line: string) => void;
}

export interface Role {
  readonly name: string;
  /** What it reported first; its URLs hold over restarts. */
  readonly ready: ReadyMessage;
  /** Of the process that runs now, or ran last. */
  readonly pid: number;
  stop(): Promise<void>;
}

interface Running {
  readonly child: ChildProcess;
  readonly ended: Promise<string>;
  readonly startedAt: number;
  wasReady: boolean;
}

/**
 * Resolves when the role is ready for the first time.
 *
 * @throws unavailable where it ends before, AbortError where `signal` says so; later deaths are mended, and logged
 */
export async function superviseRole(options: RoleOptions): Promise<Role> {
  const stopping = new AbortController();
  let running = launch(options, undefined);
  const first = await untilReady(running, options).catch(async error => {
    await end(running, options.graceMs);
    throw error;
  });

  async function keepAlive(): Promise<void> {
    for (let failures = 0; ; failures++) {
      const how = await running.ended;
      if (stopping.signal.aborted) return;
      if (Date.now() - running.startedAt >= HEALTHY_MS_MIN) failures = 0;
      const gaveUp = !running.wasReady && running.child.signalCode === null;
      const delayMsMax = gaveUp ? RESTART_MS_MAX : RESTART_SOON_MS_MAX;
      const delayMs = Math.min(RESTART_MS_MIN * 2 ** failures, delayMsMax);
      options.log(`${options.name} ended (${how}); starting it again in ${delayMs} ms`);
      await sleep(delayMs, undefined, { signal: stopping.signal }).catch(() => {});
      if (stopping.signal.aborted) return;
      running = launch(options, first);
    }
  }
  const kept = keepAlive();

  return {
    name: options.name,
    ready: first,
    get pid() {
      return running.child.pid ?? 0;
    },
    async stop() {
      stopping.abort();
      await end(running, options.graceMs);
      await kept;
    },
  };
}

function launch(options: RoleOptions, first: ReadyMessage | undefined): Running {
  const child = fork(options.module, [], {
    env: options.env(first),
    // Its own process group: Ctrl-C in a terminal reaches us alone, and we stop everything in order.
    detached: true,
    stdio: ['ignore', options.output, options.output, 'ipc'],
  });
  const ended = new Promise<string>(resolve => {
    child.once('error', error => resolve(error.message));
    child.once('exit', (code, signal) => resolve(signal ?? `code ${code}`));
  });
  const running = { child, ended, startedAt: Date.now(), wasReady: false };
  child.on('message', message => {
    running.wasReady ||= isReady(message);
  });
  return running;
}

async function untilReady({ child, ended }: Running, { name, signal }: RoleOptions): Promise<ReadyMessage> {
  const decided = new AbortController();
  const timer = signal === undefined ? decided.signal : AbortSignal.any([decided.signal, signal]);
  const ready = new Promise<ReadyMessage>(resolve => {
    child.on('message', message => {
      if (isReady(message)) resolve(message);
    });
  });
  const failures = [
    ended.then(how => `the ${name} ended while starting (${how}); its log says why`),
    sleep(READY_MS_MAX, `the ${name} was not ready in ${READY_MS_MAX / 1000} s`, { signal: timer }),
  ];
  try {
    const winner = await Promise.race([ready, ...failures]);
    if (typeof winner === 'string') throw new FrechetError('unavailable', winner);
    return winner;
  } finally {
    decided.abort();
    failures[1]?.catch(() => {}); // the aborted timer rejects, and nobody waits for it any more
  }
}

function isReady(message: unknown): message is ReadyMessage {
  return typeof message === 'object' && message !== null && 'type' in message && message.type === 'ready';
}

async function end({ child, ended }: Running, graceMs: number): Promise<void> {
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), graceMs);
  await ended;
  clearTimeout(timer);
}
