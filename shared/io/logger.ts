// One logger: JSON lines on stderr, so that stdout stays free for what a program answers.

import { type DestinationStream, type Logger, pino, stdTimeFunctions } from 'pino';
import { traceFields } from './tracing.ts';

export type { Logger } from 'pino';

export interface LoggerOptions {
  /** A level of pino, or `silent`. */
  readonly level: string;
  /** `gateway` or `worker`: which role writes the line. */
  readonly role: string;
  /** Default: stderr, unbuffered, so that the last words of a crash are not lost. */
  readonly destination?: DestinationStream;
}

export function createLogger({ level, role, destination }: LoggerOptions): Logger {
  const options = {
    level,
    base: { role, pid: process.pid },
    timestamp: stdTimeFunctions.isoTime,
    messageKey: 'message',
    mixin: traceFields,
    formatters: { level: (label: string) => ({ level: label }) },
    redact: [
      'authorization',
      '*.authorization',
      'headers.authorization',
      'req.headers.authorization',
      // ioredis hangs the failed command on its error, and that of a wrong password is the password.
      'err.command.args',
    ],
  };
  return pino(options, destination ?? pino.destination({ dest: 2, sync: true }));
}
