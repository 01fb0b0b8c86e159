// The store on a file system: an object is a file under `objects/`, written under `tmp/` first and then given its
// name by link(2) (create) or rename(2) (replace). Works for many processes on one volume, NFS included; the volume
// must know hard links. Nothing is cached but which folders are known to be durable.

import { randomUUID } from 'node:crypto';
import { dirname, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { FrechetError } from '../../errors.ts';
import { recently } from '../recent.ts';
import { type Disk, isAbsent, systemCode, disk as systemDisk, translated } from './disk.ts';
import { FolderSync } from './folder-sync.ts';
import { inFolder, StagedFile, type StagingGround } from './staged-file.ts';
import {
  type DeleteOptions,
  DOCUMENT_BYTES_MAX,
  keySegments,
  type ListOptions,
  type ObjectInfo,
  type PutOptions,
  type StagedObject,
  type Store,
  type StoredObject,
  type VolumeUsage,
} from './store.ts';
import { StoredFile } from './stored-file.ts';

/** Copying so much costs less than another call. */
const JOINED_BYTES_MAX = 64 * 1024;
/** Folders remembered as durable; more only cost an fsync each when they come up again. */
const DURABLE_FOLDERS_MAX = 10_000;

/** A volume that could not be used is looked at again. */
const PREPARE_AGAIN_MS = 1_000;
/** What is wrong with a folder that was named, until somebody names another or changes its rights. */
const MISTAKES: ReadonlySet<string | undefined> = new Set([
  'EACCES',
  'EPERM',
  'EROFS',
  'ENOTDIR',
  'ELOOP',
  'ENAMETOOLONG',
]);
const NO_LINKS_DETAIL = 'The volume of the store cannot create objects: it must support hard links.';
/** From file systems without hard links. */
const NO_LINKS: ReadonlySet<string | undefined> = new Set([
  'EPERM',
  'ENOSYS',
  'ENOTSUP',
  'EOPNOTSUPP',
  'EMLINK',
]);

/** POSIX allows either for a folder that still holds something. */
const NOT_EMPTY: ReadonlySet<string | undefined> = new Set(['ENOTEMPTY', 'EEXIST']);

export interface FileStoreOptions {
  /** Hears of every byte that goes to or comes from the file system. */
  readonly onBytes?: (direction: 'read' | 'write', bytes: number) => void;
  readonly disk?: Disk;
  /** Hears that the volume is full, away or failing when the store is opened. Without it that is thrown. */
  readonly onOutage?: (error: Error) => void;
}

/**
 * Opens (and makes, where it is missing) the store in folder `root`. A volume that is full or away may come back, so
 * somebody who hears of it gets the store all the same, whose operations fail until then.
 *
 * @throws unavailable, store-full: outages, where `onOutage` does not hear of them, and what only a person can mend
 */
export async function openFileStore(root: string, options: FileStoreOptions = {}): Promise<Store> {
  const store = new FileStore(resolve(root), options);
  try {
    await store.prepare();
  } catch (error) {
    if (!(error instanceof FrechetError)) throw error;
    const code = systemCode(error.cause);
    if (MISTAKES.has(code)) throw mistake(root, code, error);
    if (options.onOutage === undefined) throw error;
    options.onOutage(error);
    void prepareLater(store);
  }
  return store;
}

function mistake(root: string, code: string | undefined, error: FrechetError): FrechetError {
  if (error.message === NO_LINKS_DETAIL) return error;
  const detail = `The store cannot be opened (${code}): see whether FRECHET_STORE names the right folder, and whether this user may write to ${root}.`;
  return new FrechetError('unavailable', detail, {}, { cause: error.cause });
}

async function prepareLater(store: FileStore): Promise<void> {
  for (let isPrepared = false; !isPrepared; ) {
    await sleep(PREPARE_AGAIN_MS, undefined, { ref: false });
    isPrepared = await store.prepare().then(
      () => true,
      () => false,
    );
  }
}

class FileStore implements Store {
  readonly #root: string;
  readonly #objects: string;
  readonly #temporaries: string;
  readonly #disk: Disk;
  readonly #onBytes: (direction: 'read' | 'write', bytes: number) => void;
  readonly #folderSync: FolderSync;
  readonly #durableFolders = new Set<string>();
  readonly #ground: StagingGround;

  constructor(root: string, { disk = systemDisk, onBytes = () => undefined }: FileStoreOptions) {
    this.#root = root;
    this.#objects = join(root, 'objects');
    this.#temporaries = join(root, 'tmp');
    this.#disk = disk;
    this.#onBytes = onBytes;
    this.#folderSync = new FolderSync(folder => this.#fsync(folder));
    this.#ground = {
      disk,
      locate: key => this.#locate(key),
      ensureFolder: (folder, again) => this.#ensureFolder(folder, again),
      syncFolder: folder => this.#folderSync.sync(folder),
      onBytes,
    };
  }

  async prepare(): Promise<void> {
    await translated('be opened', async () => {
      await this.#disk.mkdir(this.#root, { recursive: true, mode: 0o700 });
      await this.#ensureFolder(this.#objects);
      await this.#ensureFolder(this.#temporaries);
    });
    await this.#probeLinks();
  }

  async put(key: string, parts: readonly Uint8Array[], options: PutOptions): Promise<boolean> {
    if (parts.length === 0 && !options.exclusive && (await this.#create(key, options.after))) return true;
    const staged = await this.stage();
    try {
      for (const part of joined(parts)) await staged.write(part);
      return await staged.commit(key, options);
    } finally {
      await staged.discard();
    }
  }

  /** What has no bytes is whole as soon as it has its name: markers need no temporary file. False where something is there. */
  async #create(key: string, after: PutOptions['after']): Promise<boolean> {
    const { path, folder } = this.#locate(key);
    return translated('commit an object', async () => {
      await this.#ensureFolder(folder);
      await after;
      try {
        const file = await inFolder(this.#ground, folder, () => this.#disk.open(path, 'wx', 0o600));
        await file.close();
      } catch (error) {
        if (systemCode(error) !== 'EEXIST') throw error;
        return false;
      }
      await this.#folderSync.sync(folder);
      return true;
    });
  }

  async stage(): Promise<StagedObject> {
    return translated('create an object', async () => {
      const path = join(this.#temporaries, `${process.pid}-${randomUUID()}`);
      return new StagedFile(this.#ground, path, await this.#disk.open(path, 'wx', 0o600));
    });
  }

  async get(key: string): Promise<Uint8Array | undefined> {
    const object = await this.open(key);
    if (object === undefined) return undefined;
    try {
      if (object.size > DOCUMENT_BYTES_MAX) {
        throw new FrechetError('unavailable', 'A stored document is larger than any that was written.');
      }
      const bytes = new Uint8Array(object.size);
      return bytes.subarray(0, await object.read(bytes, 0));
    } finally {
      await object.close();
    }
  }

  async open(key: string): Promise<StoredObject | undefined> {
    const { path, folder } = this.#locate(key);
    return translated('open an object', async () => {
      const file = await unlessAbsent(this.#disk.open(path, 'r'));
      if (file === undefined) return undefined;
      const stat = await file.stat().catch(async error => {
        await file.close();
        throw error;
      });
      if (stat.isFile()) {
        // Every name in it appeared after its folder was durable.
        this.#noteDurable(folder);
        return new StoredFile(file, stat.size, stat.mtime, this.#onBytes);
      }
      await file.close();
      return undefined;
    });
  }

  async stat(key: string): Promise<ObjectInfo | undefined> {
    const { path } = this.#locate(key);
    return translated('look up an object', async () => {
      const stat = await unlessAbsent(this.#disk.stat(path));
      return stat?.isFile() ? { size: stat.size, modifiedAt: stat.mtime } : undefined;
    });
  }

  async list(prefix: string, options: ListOptions = {}): Promise<string[]> {
    const { after, before, reverse = false, limit } = options;
    return translated('list objects', async () => {
      const names = (await unlessAbsent(this.#disk.readdir(this.#locate(prefix).path))) ?? [];
      const wanted = names
        .filter(name => (after === undefined || name > after) && (before === undefined || name < before))
        .sort();
      if (reverse) wanted.reverse();
      return limit === undefined ? wanted : wanted.slice(0, limit);
    });
  }

  async delete(key: string, { durable }: DeleteOptions = { durable: true }): Promise<boolean> {
    const { path, folder } = this.#locate(key);
    return translated('delete an object', async () => {
      const gone = await unlessAbsent(this.#disk.unlink(path).then(() => true));
      if (gone === undefined) return false;
      if (durable) await this.#folderSync.sync(folder);
      return true;
    });
  }

  async deletePrefix(prefix: string): Promise<void> {
    const { path, folder } = this.#locate(prefix);
    await translated('delete objects', async () => {
      await this.#disk.rm(path, { recursive: true, force: true });
      await this.#folderSync.sync(folder);
    });
  }

  async prune(prefix: string): Promise<void> {
    await translated('delete objects', async () => {
      await unlessAbsent(this.#disk.rmdir(this.#locate(prefix).path)).catch(error => {
        if (!NOT_EMPTY.has(systemCode(error))) throw error;
      });
    });
  }

  async sweep(ageSeconds: number): Promise<number> {
    const before = Date.now() - ageSeconds * 1000;
    return translated('be swept', async () => {
      let swept = 0;
      for (const name of await this.#disk.readdir(this.#temporaries)) {
        const path = join(this.#temporaries, name);
        const stat = await unlessAbsent(this.#disk.stat(path));
        if (stat === undefined || stat.mtimeMs >= before) continue;
        if (await unlessAbsent(this.#disk.unlink(path).then(() => true))) swept += 1;
      }
      return swept;
    });
  }

  readonly usage = recently(() => this.#measureVolume());

  async #measureVolume(): Promise<VolumeUsage> {
    return translated('measure its volume', async () => {
      const volume = await this.#disk.statfs(this.#root);
      return { freeBytes: volume.bavail * volume.bsize, totalBytes: volume.blocks * volume.bsize };
    });
  }

  #locate(key: string): { path: string; folder: string } {
    const path = join(this.#objects, ...keySegments(key));
    return { path, folder: dirname(path) };
  }

  /**
   * A folder made by another process may not be durable yet, so every process syncs the folders above once itself,
   * also where they were there already.
   */
  async #ensureFolder(folder: string, again = false): Promise<void> {
    if (again) this.#durableFolders.clear();
    if (folder === this.#root || this.#durableFolders.has(folder)) return;
    const parent = dirname(folder);
    await this.#ensureFolder(parent);
    await this.#disk.mkdir(folder, { mode: 0o700 }).catch(error => {
      if (systemCode(error) !== 'EEXIST') throw error;
    });
    await this.#folderSync.sync(parent);
    this.#noteDurable(folder);
  }

  #noteDurable(folder: string): void {
    if (this.#durableFolders.size >= DURABLE_FOLDERS_MAX) this.#durableFolders.clear();
    this.#durableFolders.add(folder);
  }

  async #fsync(folder: string): Promise<void> {
    // A folder that has gone holds nothing that could be made durable.
    const handle = await unlessAbsent(this.#disk.open(folder, 'r'));
    if (handle === undefined) return;
    try {
      await handle.sync();
    } finally {
      // Nothing that is durable has to wait for it.
      handle.close().catch(() => undefined);
    }
  }

  /** Create-exclusive rests on hard links; a volume without them is refused at the start, not at the first job. */
  async #probeLinks(): Promise<void> {
    const path = join(this.#temporaries, `${process.pid}-${randomUUID()}`);
    const file = await translated('be opened', () => this.#disk.open(path, 'wx', 0o600));
    try {
      await translated('be opened', async () => {
        await file.close();
        await this.#disk.link(path, `${path}-link`);
        await this.#disk.unlink(`${path}-link`);
      });
    } catch (error) {
      if (!NO_LINKS.has(systemCode((error as Error).cause))) throw error;
      throw new FrechetError('unavailable', NO_LINKS_DETAIL, {}, { cause: (error as Error).cause });
    } finally {
      await this.#disk.unlink(path).catch(() => undefined);
    }
  }
}

/** Small parts are written with one call. */
function joined(parts: readonly Uint8Array[]): readonly Uint8Array[] {
  const bytes = parts.reduce((sum, { byteLength }) => sum + byteLength, 0);
  return bytes > JOINED_BYTES_MAX ? parts : [Buffer.concat(parts)];
}

async function unlessAbsent<T>(operation: Promise<T>): Promise<T | undefined> {
  try {
    return await operation;
  } catch (error) {
    if (isAbsent(error)) return undefined;
    throw error;
  }
}
