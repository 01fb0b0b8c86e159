// The command `frechet`, run as a user does, as a process with arguments, an environment and streams; or within the
// test's own process, which is quicker and sees the same but for signals.

import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { runCommandLine } from '../../../api/cli/run.ts';
import { REPOSITORY_ROOT } from '../../../deploy/local/root.ts';

export interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  /** Beside PATH and HOME. */
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  readonly input?: string;
  /** Is given the process as soon as there is one. */
  readonly onSpawn?: (child: ChildProcess) => void;
}

export function frechet(args: readonly string[], options: RunOptions = {}): Promise<Finished> {
  const { PATH, HOME } = process.env;
  const child = spawn(process.execPath, [join(REPOSITORY_ROOT, 'dist/api/cli.js'), ...args], {
    env: { PATH, HOME, ...options.env },
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  const written = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (text: string) => {
      written[name] += text;
    });
  }
  options.onSpawn?.(child);
  child.stdin.end(options.input ?? '');
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', code => resolve({ code, ...written }));
  });
}

/** Within this process, whose folder it moves while it runs: one at a time. */
export async function frechetHere(
  args: readonly string[],
  options: Omit<RunOptions, 'onSpawn'> = {},
): Promise<Finished> {
  const written = { stdout: '', stderr: '' };
  const stream = (name: keyof typeof written) => ({
    isTTY: false,
    write(chunk: string | Uint8Array, done?: () => void) {
      written[name] += typeof chunk === 'string' ? chunk : Buffer.from(chunk).toString('latin1');
      done?.();
      return true;
    },
  });
  const home = process.cwd();
  if (options.cwd !== undefined) process.chdir(options.cwd);
  try {
    const code = await runCommandLine(args, {
      stdout: stream('stdout') as unknown as NodeJS.WriteStream, // the part of one that commands use
      stderr: stream('stderr') as unknown as NodeJS.WriteStream,
      stdin: Readable.from([options.input ?? '']) as unknown as NodeJS.ReadStream,
      environment: { PATH: process.env.PATH, ...options.env },
      onInterrupt: () => new AbortController().signal,
    });
    return { code, ...written };
  } finally {
    process.chdir(home);
  }
}
