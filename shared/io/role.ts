// What every process of Frechet does around its own work: read its settings or say what is wrong with them, log, end
// over bugs, start, tell its parent, and stop in order when asked. Deliberately absent: the environment, which main.ts
// passes in, and what the roles are.

import { ConfigError } from './config.ts';
import { createLogger, type Logger } from './logger.ts';
import { createReleasers, type Releasers } from './releasers.ts';

/** What a role is given to start with. */
export interface Role {
  readonly log: Logger;
  /** Whatever is acquired is pushed here, in an order whose reverse is a clean end. */
  readonly releasers: Releasers;
  /** Aborted as soon as the process is asked to stop. */
  readonly draining: AbortSignal;
  /** Ends the process over a bug; its supervisor starts another. */
  readonly crash: (error: unknown) => void;
}

/**
 * Runs a role until SIGTERM, SIGINT or the death of the process that started it.
 *
 * @param readSettings throws ConfigError; @param start answers what the log and a parent are told when it is ready
 */
export async function runRole<C extends { readonly logLevel: string }>(
  name: 'gateway' | 'worker',
  readSettings: () => C,
  start: (config: C, role: Role) => Promise<object>,
): Promise<void> {
  const config = settingsOf(readSettings);
  if (config === undefined) return;
  const log = createLogger({ level: config.logLevel, role: name });
  const crash = (error: unknown) => {
    log.fatal({ err: error }, `a bug; the supervisor restarts the ${name}`);
    process.exit(1);
  };
  for (const event of ['uncaughtException', 'unhandledRejection'] as const) process.on(event, crash);
  const releasers = createReleasers();
  const draining = new AbortController();
  // Before the start, which may wait long for others: it is stopped as a running role is.
  stopOnRequest(log, draining, releasers.release);
  try {
    const value = await start(config, { log, releasers, draining: draining.signal, crash });
    if (draining.signal.aborted) return;
    log.info(value, 'ready');
    process.send?.({ type: 'ready', role: name, ...value });
  } catch (error) {
    // What was taken away from a start that is being stopped makes it fail; the stop itself tells how it went.
    if (draining.signal.aborted) return;
    // The first failure is the one to tell; what fails while cleaning up after it would only hide it.
    await releasers.release().catch(() => undefined);
    log.fatal({ err: error }, `the ${name} could not start`);
    process.exit(1);
  }
}

/** Undefined where they are wrong, which is said on stderr as it is: whoever reads it is a person with an editor open. */
function settingsOf<C>(readSettings: () => C): C | undefined {
  try {
    return readSettings();
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exitCode = 1;
    return undefined;
  }
}

function stopOnRequest(log: Logger, draining: AbortController, release: () => Promise<void>): void {
  const stop = async (reason: string) => {
    if (draining.signal.aborted) return;
    log.info({ reason }, 'shutting down');
    draining.abort();
    try {
      await release();
      log.info('stopped');
      process.exit(0);
    } catch (error) {
      log.error({ err: error }, 'did not stop cleanly');
      process.exit(1);
    }
  };
  process.on('SIGTERM', () => stop('SIGTERM'));
  process.on('SIGINT', () => stop('SIGINT'));
  // Whoever started us with a channel and is gone would leave us behind unsupervised.
  process.on('disconnect', () => stop('the parent process is gone'));
}

/** Starts a Redis for this machine, or joins the one that runs. */
interface RedisStarter {
  ensureRedis(options: {
    readonly dataDir: string;
    readonly searchPath: string;
    readonly log: (line: string) => void;
  }): Promise<{ readonly url: string; stop(): Promise<void> }>;
}

/**
 * The address of Redis: the configured one, or that of one started here.
 *
 * @param load finds what starts it; only called where no address is configured, so that images need not hold it
 */
export async function redisUrlOf(
  config: { readonly redisUrl: string | undefined; readonly dataDir: string },
  { log, releasers }: Role,
  searchPath: string,
  load: () => Promise<RedisStarter>,
): Promise<string> {
  if (config.redisUrl !== undefined) return config.redisUrl;
  const { ensureRedis } = await load();
  const redis = await ensureRedis({ dataDir: config.dataDir, searchPath, log: line => log.info(line) });
  releasers.push('Redis', () => redis.stop());
  return redis.url;
}
