// System packages without root: Debian's own archives, fetched with apt and unpacked below `.cache/packages`. Nothing
// is installed and no maintainer script runs. Absent on purpose: dependencies. A caller names every package it needs
// beyond what apt itself rests on (libc, libstdc++, libsystemd).

import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { FrechetError } from '../../shared/errors.ts';
import { withLock } from './lock.ts';
import { CACHE_DIR } from './root.ts';
import { runCommand } from './run-command.ts';

/** Debian's name of an architecture → the folder its libraries lie in. */
const MULTIARCH = {
  amd64: 'x86_64-linux-gnu',
  arm64: 'aarch64-linux-gnu',
  ppc64el: 'powerpc64le-linux-gnu',
  riscv64: 'riscv64-linux-gnu',
  s390x: 's390x-linux-gnu',
} as const;
type Architecture = keyof typeof MULTIARCH;

export interface UnpackedPackages {
  /** The folder that stands for `/`: programs are in `root/usr/bin`. */
  readonly root: string;
  /** What `LD_LIBRARY_PATH` has to hold. */
  readonly libraryPath: string;
}

export interface PackagesOptions {
  /** Where unpacked packages are kept. */
  readonly cacheDir?: string;
  readonly log?: (line: string) => void;
}

/**
 * Unpacks a set of packages once, and finds it there ever after. Safe to call from several processes at once.
 *
 * @param name what the set is for; part of the folder's name
 * @param packages Debian names; `a | b` takes the first that this release has, for names that changed over releases
 * @throws unavailable where this is not Debian or Ubuntu, the network is out of reach, or a package does not exist
 */
export async function ensurePackages(
  name: string,
  packages: readonly string[],
  options: PackagesOptions = {},
): Promise<UnpackedPackages> {
  const architecture = await readArchitecture();
  const release = await readRelease();
  const digest = createHash('sha256').update(packages.join('\n')).digest('hex').slice(0, 8);
  const cacheDir = options.cacheDir ?? join(CACHE_DIR, 'packages');
  const root = join(cacheDir, `${name}-${release}-${architecture}-${digest}`);
  if (!existsSync(root)) {
    await mkdir(cacheDir, { recursive: true });
    await withLock(join(cacheDir, 'lock'), async () => {
      if (existsSync(root)) return;
      options.log?.(`fetching ${name} from the distribution's packages`);
      await unpack(cacheDir, packages, root);
    });
  }
  const triplet = MULTIARCH[architecture];
  return { root, libraryPath: `${join(root, 'usr/lib', triplet)}:${join(root, 'lib', triplet)}` };
}

async function readArchitecture(): Promise<Architecture> {
  const { code, output } = await runCommand('dpkg', ['--print-architecture']).catch(error => {
    throw new FrechetError(
      'unavailable',
      'dpkg is missing: this is not Debian or Ubuntu',
      {},
      { cause: error },
    );
  });
  const architecture = output.trim();
  if (code !== 0 || !Object.hasOwn(MULTIARCH, architecture)) {
    throw new FrechetError('unavailable', `packages for the architecture ${architecture} are not supported`);
  }
  return architecture as Architecture; // hasOwn has just shown it
}

/** `debian-12`: libraries of one release do not run on another. */
async function readRelease(): Promise<string> {
  const text = existsSync('/etc/os-release') ? await readFile('/etc/os-release', 'utf8') : '';
  const field = (key: string) => new RegExp(`^${key}="?([\\w.]+)"?$`, 'm').exec(text)?.[1];
  return `${field('ID') ?? 'linux'}-${field('VERSION_ID') ?? 'rolling'}`;
}

/** Unpacks beside `root` and renames at the end, so that `root` is there whole or not at all. */
async function unpack(cacheDir: string, packages: readonly string[], root: string): Promise<void> {
  const work = await mkdtemp(join(cacheDir, 'unpack-'));
  try {
    const debs = await download(work, packages);
    for (const deb of debs) await runOrFail('dpkg', ['-x', deb, join(work, 'root')]);
    await rename(join(work, 'root'), root);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function download(work: string, packages: readonly string[]): Promise<string[]> {
  const apt = aptOptions(work);
  for (const folder of ['state/lists/partial', 'cache/archives/partial', 'debs', 'root']) {
    await mkdir(join(work, folder), { recursive: true });
  }
  // Fresh lists each time: those of the machine may be absent, or name versions the mirror no longer has.
  await runOrFail('apt-get', [...apt, '-qq', '-o', 'APT::Update::Error-Mode=any', 'update']);
  const names = await Promise.all(packages.map(alternatives => choosePackage(apt, alternatives)));
  const debs = join(work, 'debs');
  await runOrFail('apt-get', [...apt, '-qq', 'download', ...names], debs);
  return (await readdir(debs)).map(file => join(debs, file));
}

/** Points apt at folders of ours, and keeps it from locking, sandboxing or cleaning those of the system. */
function aptOptions(work: string): string[] {
  const settings = [
    `Dir::State=${join(work, 'state')}`,
    'Dir::State::status=/var/lib/dpkg/status',
    `Dir::Cache=${join(work, 'cache')}`,
    'Debug::NoLocking=1',
    'APT::Sandbox::User=',
    'Acquire::Retries=2',
    'Acquire::http::Timeout=30',
  ];
  return settings.flatMap(setting => ['-o', setting]);
}

async function choosePackage(apt: readonly string[], alternatives: string): Promise<string> {
  for (const name of alternatives.split('|').map(part => part.trim())) {
    const { code, output } = await runCommand('apt-cache', [...apt, 'show', '--no-all-versions', name]);
    if (code === 0 && output.includes('Filename:')) return name;
  }
  throw new FrechetError('unavailable', `this release has no package ${alternatives}`);
}

async function runOrFail(command: string, args: readonly string[], cwd?: string): Promise<void> {
  const { code, output } = await runCommand(command, args, cwd === undefined ? {} : { cwd }).catch(error => {
    throw new FrechetError(
      'unavailable',
      `${command} is missing: this is not Debian or Ubuntu`,
      {},
      { cause: error },
    );
  });
  if (code === 0) return;
  const reason = output.trim().split('\n').at(-1) ?? '';
  throw new FrechetError(
    'unavailable',
    `${command} could not fetch packages (is there a network?): ${reason}`,
  );
}
