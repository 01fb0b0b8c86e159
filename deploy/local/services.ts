// Everything Frechet needs on one machine, composed: Redis, a gateway, workers, each a process of its own, supervised
// here as Kubernetes would elsewhere.

import { mkdir } from 'node:fs/promises';
import { delimiter, join, resolve } from 'node:path';
import { type Config, readConfig } from '../../shared/io/config.ts';
import { withReleasers } from '../../shared/io/releasers.ts';
import { findBlas } from './blas.ts';
import { keepRedis } from './keep-redis.ts';
import { REPOSITORY_ROOT } from './root.ts';
import { type ReadyMessage, type Role, superviseRole } from './supervise.ts';
import { workerShares } from './worker-shares.ts';

/**
 * What the roles' runtime is told, as the image tells it. Node waits for the disk in so many threads: fsyncs that wait
 * together are one commit of the file system's journal. And glibc keeps what large buffers gave back: memory asked of
 * the system anew costs a page fault every 4 KiB, which is most of a transfer's time where a hypervisor serves them.
 */
export const RUNTIME_ENVIRONMENT = {
  UV_THREADPOOL_SIZE: '16',
  MALLOC_MMAP_THRESHOLD_: '16777216',
  MALLOC_TRIM_THRESHOLD_: '67108864',
} as const;

/** What a role may need beyond its drain time to close its connections. */
const STOP_MARGIN_SECONDS = 5;

export interface ServicesOptions {
  /** Embedded Redis' files and, unless FRECHET_STORE says otherwise, the store. */
  readonly dataDir: string;
  /** What the roles see, FRECHET_* included, but for what is decided here: Redis, data folder, ports. */
  readonly env: NodeJS.ProcessEnv;
  /** Ports as the environment says, or any free ones, for several stacks side by side. */
  readonly ports: 'configured' | 'free';
  /** So many workers as the environment describes them; where absent, as many as its memory takes. */
  readonly workers?: number;
  /** Where the roles' logs go: our own standard error, or an open file. */
  readonly output: 'inherit' | number;
  /** Gives up starting. */
  readonly signal?: AbortSignal;
  readonly log: (line: string) => void;
}

export interface RunningServices {
  /** Of the public API, without a slash at the end. */
  readonly url: string;
  readonly adminUrl: string;
  readonly redisUrl: string;
  readonly gateway: Role;
  readonly workers: readonly Role[];
  /** Lets requests and blocks end, then stops Redis. Repeatable. */
  stop(): Promise<void>;
}

type Settings = Config<
  'drainSeconds' | 'gatewayAdminPort' | 'redisUrl' | 'kernel' | 'memoryBytes' | 'threads'
>;

/**
 * Starts everything, and resolves when everything is ready. Where a part fails, the others are stopped again.
 *
 * @throws unavailable; AbortError where `signal` says so; ConfigError
 */
export async function startServices(options: ServicesOptions): Promise<RunningServices> {
  const settings = readConfig(options.env, [
    'drainSeconds',
    'gatewayAdminPort',
    'redisUrl',
    'kernel',
    'memoryBytes',
    'threads',
  ]);
  const dataDir = resolve(options.dataDir);
  await mkdir(dataDir, { recursive: true });
  const { value, release } = await withReleasers(async releasers => {
    const redis = await keepRedis({
      url: settings.redisUrl,
      dataDir,
      searchPath: options.env.PATH ?? '',
      log: options.log,
    });
    releasers.push('Redis', redis.stop);
    options.signal?.throwIfAborted();
    const roles: Role[] = [];
    releasers.push('the roles', async () => {
      await Promise.all(roles.map(role => role.stop()));
    });
    const env = {
      ...RUNTIME_ENVIRONMENT,
      ...options.env,
      ...(await libraryEnvironment(options, settings)),
      FRECHET_REDIS_URL: redis.url,
      FRECHET_DATA_DIR: dataDir,
    };
    const shares =
      options.workers === undefined
        ? workerShares(settings)
        : Array.from({ length: options.workers }, () => ({}));
    const starts = [{}, ...shares].map(async (share, index) => {
      const role = await superviseRole(
        describeRole({ ...options, env: { ...env, ...share } }, settings, index),
      );
      roles.push(role);
      return role;
    });
    const [gateway, ...workers] = await settleAll(starts);
    return { gateway: gateway as Role, workers, redisUrl: redis.url }; // there is always the gateway
  });
  const { url, adminUrl } = value.gateway.ready;
  return { ...value, url: url ?? '', adminUrl, stop: release };
}

/** Where the roles' loader finds the BLAS that was fetched for them. */
async function libraryEnvironment(
  { env, log }: ServicesOptions,
  { kernel }: Settings,
): Promise<NodeJS.ProcessEnv> {
  const blas = await findBlas(kernel, log);
  if (blas === undefined) return {};
  return { LD_LIBRARY_PATH: [blas, env.LD_LIBRARY_PATH].filter(Boolean).join(delimiter) };
}

/** @param index 0 for the gateway, from 1 for workers; each admin port is the gateway's plus that */
function describeRole(options: ServicesOptions, settings: Settings, index: number) {
  return {
    name: index === 0 ? 'gateway' : 'worker',
    module: join(REPOSITORY_ROOT, 'dist', index === 0 ? 'api/main.js' : 'workers/main.js'),
    output: options.output,
    graceMs: (settings.drainSeconds + STOP_MARGIN_SECONDS) * 1000,
    signal: options.signal,
    log: options.log,
    env: (first: ReadyMessage | undefined): NodeJS.ProcessEnv => ({
      ...options.env,
      ...(first === undefined ? initialPorts(options, settings, index) : reportedPorts(first)),
    }),
  };
}

function initialPorts({ ports }: ServicesOptions, settings: Settings, index: number): NodeJS.ProcessEnv {
  if (ports === 'free') return { FRECHET_PORT: '0', FRECHET_ADMIN_PORT: '0' };
  const base = settings.gatewayAdminPort;
  return { FRECHET_ADMIN_PORT: String(base === 0 ? 0 : base + index) };
}

function reportedPorts({ url, adminUrl }: ReadyMessage): NodeJS.ProcessEnv {
  const admin = { FRECHET_ADMIN_PORT: new URL(adminUrl).port };
  return url ? { ...admin, FRECHET_PORT: new URL(url).port } : admin;
}

/** Like Promise.all, but a failure waits for the others: what they have started is known, and can be stopped. */
async function settleAll<Value>(promises: readonly Promise<Value>[]): Promise<Value[]> {
  await Promise.allSettled(promises);
  return Promise.all(promises);
}
