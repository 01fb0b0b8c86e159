// `npm run demo`: starts everything on free ports in a temporary folder, tells two stories over HTTP, and leaves
// nothing behind, however it ends.

import { mkdtemp, open, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createReleasers, type Releasers } from '../../shared/io/releasers.ts';
import { createClient } from './demo/client.ts';
import { runLarge } from './demo/large.ts';
import { runSmall } from './demo/small.ts';
import { createTerminal } from './demo/terminal.ts';
import { startServices } from './services.ts';

const LOG_LINES_SHOWN = 20;

/** Settings of a real installation that a demo must not touch. */
const NOT_FOR_DEMO = ['FRECHET_STORE', 'FRECHET_HOST', 'FRECHET_API_KEYS_FILE', 'FRECHET_ALLOW_ANONYMOUS'];

async function demo(releasers: Releasers, signal: AbortSignal): Promise<void> {
  const terminal = createTerminal(process.stdout);
  const dataDir = await mkdtemp(join(tmpdir(), 'frechet-demo-'));
  releasers.push('the data folder', () => rm(dataDir, { recursive: true, force: true }));
  const log = await open(join(dataDir, 'log'), 'a+');
  releasers.push('the log', () => log.close());
  try {
    const services = await startServices({
      dataDir,
      env: demoEnvironment(),
      ports: 'free',
      output: log.fd,
      signal,
      log: terminal.line,
    });
    releasers.push('the services', services.stop);
    terminal.line(`the API listens on ${services.url}`);
    const client = createClient(services.url, signal);
    await runSmall(client, terminal);
    await runLarge(client, terminal);
  } catch (error) {
    if (!signal.aborted) showLog(await readFile(join(dataDir, 'log'), 'utf8'));
    throw error;
  }
}

function demoEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !NOT_FOR_DEMO.includes(name)));
}

function showLog(text: string): void {
  const lines = text.trimEnd().split('\n').slice(-LOG_LINES_SHOWN);
  console.error(`\nThe end of the log:\n${lines.join('\n')}\n`);
}

async function main(): Promise<number> {
  const releasers = createReleasers();
  const stopping = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, () => stopping.abort());
  try {
    await demo(releasers, stopping.signal);
    return 0;
  } catch (error) {
    const reason = stopping.signal.aborted ? 'it was interrupted' : (error as Error).message;
    console.error(`frechet: the demo failed: ${reason}`);
    return 1;
  } finally {
    await releasers.release();
  }
}

main().then(
  code => process.exit(code),
  (error: Error) => {
    console.error(`frechet: ${error.message}`);
    process.exit(1);
  },
);
