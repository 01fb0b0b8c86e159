#!/usr/bin/env node
// The command `frechet`: the process around api/cli. Arguments, environment, streams and signals go in; an exit code
// comes out.

import { exitCodeOf } from './cli/exit-codes.ts';
import { runCommandLine } from './cli/run.ts';

/** On Ctrl-C in npm's `npx` the terminal signals us, and so does npm: what comes at once is the same wish. */
const SAME_WISH_MS = 1_000;

const stopping = new AbortController();
let askedAt = 0;

/** The first wish aborts, so that what was started is stopped in order; a later one does not wait for that. */
function stop(by: string): void {
  if (!stopping.signal.aborted) {
    askedAt = performance.now();
    stopping.abort(Object.assign(new Error(`interrupted by ${by}`), { name: 'Interruption', by }));
  } else if (performance.now() - askedAt > SAME_WISH_MS) {
    process.exit(exitCodeOf(stopping.signal.reason));
  }
}

function stopOnSignals(): AbortSignal {
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => stop(name));
  return stopping.signal;
}

for (const stream of [process.stdout, process.stderr]) {
  // A reader such as `head` that has gone has seen enough. Every further write fails, too, and is the same wish.
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    if (!stopping.signal.aborted) stop('SIGPIPE');
  });
}

process.exitCode = await runCommandLine(process.argv.slice(2), {
  stdout: process.stdout,
  stderr: process.stderr,
  stdin: process.stdin,
  environment: process.env,
  onInterrupt: stopOnSignals,
});
