// One gateway as a process of its own, over a folder of its own and a Redis that the test holds.

import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('../../api/main.js', import.meta.url));

export interface GatewayProcess {
  readonly url: string;
  readonly adminUrl: string;
  readonly process: ChildProcess;
  readonly dataDir: string;
  /** Everything logged so far. */
  log(): string;
  /** The exit code, when it has ended. */
  readonly exit: Promise<number | null>;
  /** Resident memory now and at its highest, in bytes. */
  memory(): Promise<{ current: number; highest: number }>;
  stop(): Promise<void>;
}

/**
 * Starts a gateway, and resolves when it says that it is ready.
 *
 * @param main another build's entry, if need be
 */
export async function startGatewayProcess(
  env: Record<string, string>,
  main: string = MAIN,
): Promise<GatewayProcess> {
  const dataDir = await mkdtemp(join(tmpdir(), 'frechet-gateway-'));
  const child = fork(main, {
    env: {
      PATH: process.env.PATH ?? '',
      FRECHET_PORT: '0',
      FRECHET_ADMIN_PORT: '0',
      FRECHET_DATA_DIR: dataDir,
      ...env,
    },
    stdio: ['ignore', 'inherit', 'pipe', 'ipc'],
  });
  let log = '';
  child.stderr?.setEncoding('utf8').on('data', text => {
    log += text;
  });
  const exit = once(child, 'exit').then(([code]) => code as number | null);
  // `close` comes after all of the log; `exit` comes also where the channel was closed by us.
  const ready = await Promise.race([
    once(child, 'message').then(([message]) => message as { url: string; adminUrl: string }),
    once(child, 'close').then(([code]) => {
      throw new Error(`the gateway ended with ${code}\n${log}`);
    }),
  ]).catch(async (error: unknown) => {
    await rm(dataDir, { recursive: true, force: true });
    throw error;
  });
  return {
    url: ready.url,
    adminUrl: ready.adminUrl,
    process: child,
    dataDir,
    log: () => log,
    exit,
    async memory() {
      const status = await readFile(`/proc/${child.pid}/status`, 'utf8');
      const bytes = (field: string) =>
        Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]) * 1024;
      return { current: bytes('VmRSS'), highest: bytes('VmHWM') };
    },
    async stop() {
      child.kill('SIGTERM');
      await exit;
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}
