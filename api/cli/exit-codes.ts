// What the exit code of every command means, in one table.

import { errorCode } from '../../shared/errors.ts';
import { ConnectionError, FrechetProblem } from '../client/index.ts';

export const EXIT_CODES = {
  ok: 0,
  /** The job failed or was cancelled, a check did not pass, a line of a batch went wrong, doctor found a fault. */
  failed: 1,
  /** The command line, or a file that it names, is not usable. */
  usage: 2,
  /** The service understood the request and refused it. */
  refused: 3,
  /** The service is not reachable, at its limit, or could not be started. */
  unavailable: 4,
  /** A fault of this program. */
  bug: 70,
  interrupted: 130,
  terminated: 143,
} as const;

export type ExitCode = (typeof EXIT_CODES)[keyof typeof EXIT_CODES];

/** The command line is wrong; the message says what to do. It never leaves this process, so it has no code. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** A job, check or batch did not end well. What there is to say has mostly been said. */
export class CommandFailure extends Error {
  override readonly name = 'CommandFailure';
}

/** By signal. Whoever closes a pipe has what they wanted. */
const INTERRUPTIONS: Readonly<Record<string, ExitCode>> = {
  SIGINT: EXIT_CODES.interrupted,
  SIGPIPE: EXIT_CODES.ok,
};

const BUSY: ReadonlySet<number> = new Set([429, 502, 503, 504, 507]);

export function exitCodeOf(error: unknown): ExitCode {
  if (error instanceof UsageError) return EXIT_CODES.usage;
  if (error instanceof CommandFailure) return EXIT_CODES.failed;
  if (error instanceof ConnectionError) return EXIT_CODES.unavailable;
  if (error instanceof FrechetProblem) {
    return BUSY.has(error.status) ? EXIT_CODES.unavailable : EXIT_CODES.refused;
  }
  if (isInterruption(error)) return INTERRUPTIONS[error.by] ?? EXIT_CODES.terminated;
  if ((error as Error | null)?.name === 'ConfigError') return EXIT_CODES.usage;
  // What starting a service of our own meets: no Redis, a role that does not start.
  return errorCode(error) === 'unavailable' ? EXIT_CODES.unavailable : EXIT_CODES.bug;
}

/** The reason of the signal that Ctrl-C and its kin abort. */
export function isInterruption(error: unknown): error is Error & { readonly by: string } {
  return error instanceof Error && error.name === 'Interruption' && 'by' in error;
}
