// @ts-check
// Makes a checkout runnable: the right Node, installed dependencies, compiled sources. `npm start`, `npm test`
// and `npm run demo` run it first, so it is plain JavaScript over Node alone: nothing is installed or compiled
// yet when it runs. It says a line for what it does and nothing where there is nothing to do.

import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { link, mkdir, readdir, readFile, rm, stat, unlink, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const NODE_VERSION_MIN = /** @type {const} */ ([20, 19]);
const SOURCE_FOLDERS = ['api', 'workers', 'shared', 'deploy', 'test'];
const LOCK_POLL_MS = 200;
/** An install takes a minute or two; a lock this old was left by a power cut and its pid belongs to another. */
const LOCK_AGE_MS_MAX = 15 * 60_000;

/**
 * @param {string} root the checkout
 * @param {(line: string) => void} say
 */
export async function prepare(root, say) {
  const unlock = await lock(join(root, '.cache', 'prepare.lock'), say);
  try {
    if (!(await isInstalled(root))) {
      say('installing dependencies (npm ci)');
      await run(root, 'npm ci', 'npm', ['ci', '--no-audit', '--no-fund']);
    }
    await removeStaleOutputs(root);
    await build(root, say);
  } finally {
    await unlock();
  }
}

/** @param {string} version as in `process.versions.node` */
export function isNodeSupported(version) {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return major > NODE_VERSION_MIN[0] || (major === NODE_VERSION_MIN[0] && minor >= NODE_VERSION_MIN[1]);
}

/**
 * Whether node_modules holds what package-lock.json asks for. Compares contents, since a fresh checkout gives
 * every file a new time. Packages for other platforms are optional and absent, which is as it should be.
 *
 * @param {string} root
 */
export async function isInstalled(root) {
  const wanted = await readPackages(join(root, 'package-lock.json'));
  const installed = await readPackages(join(root, 'node_modules', '.package-lock.json'));
  return Object.entries(wanted).every(([path, entry]) => {
    if (path === '') return true;
    const found = installed[path];
    return found === undefined ? entry.optional === true : found.version === entry.version;
  });
}

/**
 * @param {string} path a lockfile
 * @returns {Promise<Record<string, { version?: string, optional?: boolean }>>}
 */
async function readPackages(path) {
  return existsSync(path) ? JSON.parse(await readFile(path, 'utf8')).packages : {};
}

/**
 * Deletes compiled files whose source is gone, so that a removed test doesn't run again; and makes the compiler
 * start afresh where an output is missing, which its incremental record wouldn't notice.
 *
 * @param {string} root
 */
async function removeStaleOutputs(root) {
  const sources = await listFiles(root, SOURCE_FOLDERS, name => name.endsWith('.ts'));
  const wanted = new Set(sources.map(path => path.replace(/\.ts$/, '.js')));
  const dist = join(root, 'dist');
  const outputs = await listFiles(dist, SOURCE_FOLDERS, name => /\.js(\.map)?$/.test(name));
  for (const path of outputs) {
    if (!wanted.has(path.replace(/\.map$/, ''))) await rm(join(dist, path), { force: true });
  }
  const found = new Set(outputs);
  if ([...wanted].some(path => !found.has(path))) await rm(join(dist, '.tsbuildinfo'), { force: true });
}

/**
 * @param {string} root
 * @param {readonly string[]} folders
 * @param {(name: string) => boolean} accept
 * @returns {Promise<string[]>} paths relative to `root`
 */
async function listFiles(root, folders, accept) {
  const lists = folders.map(async folder => {
    const path = join(root, folder);
    if (!existsSync(path)) return [];
    const entries = await readdir(path, { recursive: true, withFileTypes: true });
    return entries
      .filter(entry => entry.isFile() && accept(entry.name) && !entry.name.endsWith('.d.ts'))
      .map(entry => relative(root, join(entry.parentPath, entry.name)));
  });
  return (await Promise.all(lists)).flat();
}

/**
 * The compiler itself decides by content what is out of date, in a fraction of a second; it rewrites its record
 * only where something was.
 *
 * @param {string} root
 * @param {(line: string) => void} say
 */
async function build(root, say) {
  const record = join(root, 'dist', '.tsbuildinfo');
  const before = await modifiedAt(record);
  const startedAt = performance.now();
  const compiler = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  await run(root, 'the TypeScript compiler', process.execPath, [compiler, '-p', '.']);
  if ((await modifiedAt(record)) !== before) {
    say(`compiled in ${((performance.now() - startedAt) / 1000).toFixed(1)} s`);
  }
}

/** @param {string} path */
async function modifiedAt(path) {
  return existsSync(path) ? (await stat(path)).mtimeMs : undefined;
}

/**
 * @param {string} cwd
 * @param {string} name what a message calls it
 * @param {string} command
 * @param {readonly string[]} args
 * @returns {Promise<void>} rejects unless the command ends with 0; what it printed was for the user
 */
function run(cwd, name, command, args) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd, stdio: 'inherit' });
    child.once('error', reject);
    child.once('exit', (code, signal) => {
      if (code === 0) resolve();
      else reject(new Error(`${name} ended with ${signal ?? code}`));
    });
  });
}

/**
 * Two commands started at once must not install into the same folder. The lock is a hard link to a file that
 * already holds our pid, so that nobody ever reads it half written. (`lock.ts` does the same for the rest of the
 * code; it isn't compiled yet when this runs.)
 *
 * @param {string} path
 * @param {(line: string) => void} say
 * @returns {Promise<() => Promise<void>>} releases the lock
 */
async function lock(path, say) {
  await mkdir(join(path, '..'), { recursive: true });
  const ours = `${path}.${process.pid}`;
  await writeFile(ours, String(process.pid));
  try {
    for (let attempt = 0; !(await tryLink(ours, path)); attempt++) {
      if (attempt === 1) say('waiting for another command that prepares this checkout');
      if (await isAbandoned(path)) await rm(path, { force: true });
      else await new Promise(resolve => setTimeout(resolve, LOCK_POLL_MS));
    }
  } finally {
    await unlink(ours);
  }
  return () => rm(path, { force: true });
}

/**
 * @param {string} from
 * @param {string} to
 */
async function tryLink(from, to) {
  try {
    await link(from, to);
    return true;
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code === 'EEXIST') return false;
    throw error;
  }
}

/** @param {string} path */
async function isAbandoned(path) {
  try {
    const [pid, { mtimeMs }] = await Promise.all([readFile(path, 'utf8'), stat(path)]);
    if (Date.now() - mtimeMs > LOCK_AGE_MS_MAX) return true;
    process.kill(Number(pid), 0);
    return false;
  } catch (error) {
    // ENOENT: released meanwhile. ESRCH: its process is gone. EPERM: another user's process, alive.
    return /** @type {NodeJS.ErrnoException} */ (error).code === 'ESRCH';
  }
}

async function main() {
  if (!isNodeSupported(process.versions.node)) {
    throw new Error(
      `Frechet needs Node ${NODE_VERSION_MIN.join('.')} or newer; this is Node ${process.versions.node}`,
    );
  }
  await prepare(fileURLToPath(new URL('../../', import.meta.url)), line => console.log(`frechet: ${line}`));
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  main().catch(error => {
    console.error(`frechet: ${error.message}`);
    process.exitCode = 1;
  });
}
