// `frechet doctor`: whether this machine can run the service, and whether the service that is named is well.

import { mkdir, mkdtemp, open, rm, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Environment } from '../../shared/io/config.ts';
import { readVersion } from '../../shared/io/version.ts';
import { createClient } from '../client/index.ts';
import type { Arguments, Command, Shell } from './command.ts';
import { SERVICE_OPTIONS } from './connection.ts';
import { EXIT_CODES } from './exit-codes.ts';
import { formatBytes } from './progress.ts';

const NODE_VERSION_MIN = [20, 19] as const;
/** Below this a service answers 507 soon. */
const FREE_BYTES_MIN = 1024 ** 3;

type Verdict = 'ok' | 'warning' | 'fault';

interface Finding {
  readonly part: string;
  readonly verdict: Verdict;
  /** What was found, and what to do where that is not well. */
  readonly detail: string;
}

type Examination = (environment: Environment) => Promise<Omit<Finding, 'part'>>;

export const doctor: Command = {
  name: 'doctor',
  summary: 'examine this machine, and the service at --url',
  usage: '[--url URL]',
  notes: '  Starts a Redis for a moment where none is named. Exit code 1 where there is a fault.',
  options: SERVICE_OPTIONS,
  async run(given, shell) {
    const findings: Finding[] = [];
    for (const [part, examine] of examinations(given, shell)) {
      const finding = { part, ...(await examine(shell.environment).catch(asFault)) };
      findings.push(finding);
      shell.stdout.write(given.flag('json') ? `${JSON.stringify(finding)}\n` : findingText(finding));
    }
    return findings.some(({ verdict }) => verdict === 'fault') ? EXIT_CODES.failed : EXIT_CODES.ok;
  },
};

function asFault(error: unknown): Omit<Finding, 'part'> {
  return { verdict: 'fault', detail: (error as Error).message };
}

function findingText({ part, verdict, detail }: Finding): string {
  return `${verdict.padEnd(7)}  ${part.padEnd(18)}  ${detail}\n`;
}

function examinations(given: Arguments, { signal }: Shell): readonly (readonly [string, Examination])[] {
  const dataDir = given.text('data');
  return [
    ['versions', examineVersions],
    ['Redis', examineRedis],
    ['store', environment => examineStore(dataDir ?? (environment.FRECHET_DATA_DIR || './data'))],
    ...(['native', 'wasm', 'reference'] as const).map(
      kernel => [`kernel ${kernel}`, () => examineKernel(kernel)] as const,
    ),
    ['service', environment => examineService(given, environment, signal)],
  ];
}

async function examineVersions(): Promise<Omit<Finding, 'part'>> {
  const { node } = process.versions;
  const [major = 0, minor = 0] = node.split('.').map(Number);
  const [majorMin, minorMin] = NODE_VERSION_MIN;
  const isOld = major < majorMin || (major === majorMin && minor < minorMin);
  const detail = `frechet ${readVersion()}, Node ${node}, ${process.platform} ${process.arch}`;
  if (isOld)
    return { verdict: 'fault', detail: `${detail}: Node ${NODE_VERSION_MIN.join('.')} or newer is needed` };
  return { verdict: 'ok', detail };
}

async function examineRedis(environment: Environment): Promise<Omit<Finding, 'part'>> {
  const [{ ensureRedis }, { connectRedis, redisFault }] = await Promise.all([
    import('../../deploy/local/redis.ts'),
    import('../../shared/io/redis.ts'),
  ]);
  const dataDir = await mkdtemp(join(tmpdir(), 'frechet-doctor-'));
  try {
    const lines: string[] = [];
    const service = await ensureRedis({
      url: environment.FRECHET_REDIS_URL || undefined,
      dataDir,
      searchPath: environment.PATH ?? '',
      log: line => lines.push(line),
    });
    const redis = connectRedis(service.url, 'consumer', () => undefined);
    try {
      const fault = await within(5_000, redisFault(redis));
      if (fault !== undefined) return { verdict: 'fault', detail: fault };
      const version = /^(?:redis|valkey)_version:(\S+)/m.exec(await redis.info('server'))?.[1];
      const origin = service.owned ? 'starts and answers' : 'answers at FRECHET_REDIS_URL';
      return { verdict: 'ok', detail: `${version} ${origin}, and evicts nothing` };
    } finally {
      redis.disconnect();
      await service.stop();
    }
  } finally {
    await rm(dataDir, { recursive: true, force: true });
  }
}

async function within(ms: number, answer: Promise<string | undefined>): Promise<string | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<string>(done => {
    timer = setTimeout(done, ms, `no answer within ${ms / 1000} s: is FRECHET_REDIS_URL right?`);
  });
  return Promise.race([answer, late]).finally(() => clearTimeout(timer));
}

async function examineStore(dataDir: string): Promise<Omit<Finding, 'part'>> {
  const folder = resolve(dataDir);
  const made = await mkdir(folder, { recursive: true });
  const probe = join(folder, `doctor-${process.pid}`);
  const file = await open(probe, 'wx');
  try {
    await file.write('well');
    await file.sync();
  } finally {
    await file.close();
    await rm(probe, { force: true });
    if (made !== undefined) await rm(made, { recursive: true, force: true });
  }
  const { bavail, bsize } = await statfs(made === undefined ? folder : resolve(made, '..'));
  const free = bavail * bsize;
  const detail = `${folder} can be written and synced; ${formatBytes(free)} are free`;
  return free < FREE_BYTES_MIN
    ? { verdict: 'warning', detail: `${detail}: that is little` }
    : { verdict: 'ok', detail };
}

async function examineKernel(kernel: 'native' | 'wasm' | 'reference'): Promise<Omit<Finding, 'part'>> {
  const [{ selectKernel }, { findBlas }] = await Promise.all([
    import('../../workers/kernels/select.ts'),
    import('../../deploy/local/blas.ts'),
  ]);
  const blas = await findBlas(kernel, () => undefined);
  try {
    return {
      verdict: 'ok',
      detail: `${selectKernel(kernel, blas === undefined ? [] : [blas]).reason}: passes its self-test`,
    };
  } catch (error) {
    // Each is optional: a worker takes the best that there is.
    return { verdict: 'warning', detail: (error as Error).message };
  }
}

async function examineService(
  given: Arguments,
  environment: Environment,
  signal: AbortSignal,
): Promise<Omit<Finding, 'part'>> {
  const url = given.text('url') ?? (environment.FRECHET_URL || undefined);
  if (url === undefined) return { verdict: 'ok', detail: 'none is named (--url, FRECHET_URL)' };
  const key = given.text('key') ?? (environment.FRECHET_API_KEY || undefined);
  const { version, workers } = await createClient({ url, key, retry: { retries: 1 } }).system({ signal });
  const kernels = [...new Set(workers.map(({ kernel }) => kernel))].join(', ');
  const threads = workers.reduce((sum, worker) => sum + worker.threads, 0);
  const detail = `${url} runs ${version} with ${counted(workers.length, 'worker')}, ${counted(threads, 'thread')}, kernels ${kernels || 'none'}`;
  return workers.length === 0
    ? { verdict: 'warning', detail: `${detail}: jobs wait for one` }
    : { verdict: 'ok', detail };
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
