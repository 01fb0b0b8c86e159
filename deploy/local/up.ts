// `npm start`: Frechet on this machine until SIGTERM or SIGINT.

import { once } from 'node:events';
import { resolve } from 'node:path';
import { readConfig } from '../../shared/io/config.ts';
import { type RunningServices, startServices } from './services.ts';

const SAME_WISH_MS = 1_000;

function say(line: string): void {
  console.log(`frechet: ${line}`);
}

function welcome(services: RunningServices, dataDir: string, hasKeys: boolean): string {
  const job = {
    operation: 'jvp',
    expression: 'A*W',
    operands: { A: { data: [[1, 2], [3, 4], [5, 6]] } }, // biome-ignore format: it is a matrix
    direction: { data: [[1, 0], [-2, 1]] }, // biome-ignore format: it is a matrix
  };
  const workerAdmin = services.workers.map(worker => `${worker.ready.adminUrl}/metrics`).join(' ');
  return `
Frechet is up.

  API       ${services.url}
  reference ${services.url}/docs
  metrics   ${services.adminUrl}/metrics ${workerAdmin}
  data      ${dataDir}

Try the derivative of A*W in the direction H, which is A*H (Ctrl-C stops everything):

  curl -s ${services.url}/v1/jobs -H 'Content-Type: application/json' -H 'Prefer: wait=30' \\${
    hasKeys ? "\n    -H 'Authorization: Bearer YOUR-KEY' \\" : ''
  }
    -d '${JSON.stringify(job)}'
`;
}

/**
 * Aborts at the first signal that asks us to stop; a later one does not wait for anything. One that comes at once is the
 * same wish: on Ctrl-C the terminal signals us, and so does npm.
 */
function abortOnSignals(stopping: AbortController): void {
  let askedAt = Number.POSITIVE_INFINITY;
  const onSignal = (signal: NodeJS.Signals) => {
    if (performance.now() - askedAt > SAME_WISH_MS) process.exit(1);
    if (stopping.signal.aborted) return;
    askedAt = performance.now();
    say(`${signal}: finishing what runs`);
    stopping.abort();
  };
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, onSignal);
}

async function up(signal: AbortSignal): Promise<void> {
  const config = readConfig(process.env, ['dataDir', 'apiKeysFile']);
  const dataDir = resolve(config.dataDir);
  const services = await startServices({
    dataDir,
    env: process.env,
    ports: 'configured',
    output: 'inherit',
    signal,
    log: say,
  });
  console.log(welcome(services, dataDir, config.apiKeysFile !== undefined));
  if (!signal.aborted) await once(signal, 'abort');
  await services.stop();
}

async function main(): Promise<void> {
  const stopping = new AbortController();
  abortOnSignals(stopping);
  try {
    await up(stopping.signal);
  } catch (error) {
    // Asked to stop while starting: what had started has been stopped, as asked.
    if ((error as Error).name !== 'AbortError') throw error;
  }
  say('stopped');
}

main().then(
  () => process.exit(0),
  (error: Error) => {
    console.error(`frechet: ${error.message}`);
    process.exit(1);
  },
);
