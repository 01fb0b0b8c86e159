// A temporary file on its way to becoming an object. The order is the whole point: the data are on disk before the
// name appears, and the name is on disk before `commit` answers.

import { assert } from '../../assert.ts';
import { type Disk, type DiskFile, isAbsent, systemCode, translated } from './disk.ts';
import type { PutOptions, StagedObject } from './store.ts';

/** What a staged file needs of the store it belongs to. */
export interface StagingGround {
  readonly disk: Disk;
  /** The path of an object and of its folder. */
  locate(key: string): { path: string; folder: string };
  /** Makes a folder and all above it, durably. `again`: it was seen, and has gone since. */
  ensureFolder(folder: string, again?: boolean): Promise<void>;
  syncFolder(folder: string): Promise<void>;
  onBytes(direction: 'write', bytes: number): void;
}

type State = 'writing' | 'sealed' | 'gone';

/** Of a long object so much is written before the disk is told to begin: the last fsync then finds little left to do. */
const SYNC_AHEAD_BYTES = 64 * 1024 * 1024;

export class StagedFile implements StagedObject {
  readonly #ground: StagingGround;
  readonly #path: string;
  readonly #file: DiskFile;
  #state: State = 'writing';
  #size = 0;
  /** What was written since the disk was last told to begin. */
  #unsyncedBytes = 0;
  #syncedAhead: Promise<void> = Promise.resolve();
  #isSyncingAhead = false;
  /** Of the sealed file: what is on disk needs not wait for it. */
  #closing: Promise<void> = Promise.resolve();

  constructor(ground: StagingGround, path: string, file: DiskFile) {
    this.#ground = ground;
    this.#path = path;
    this.#file = file;
  }

  get size(): number {
    return this.#size;
  }

  async write(bytes: Uint8Array): Promise<void> {
    assert(this.#state === 'writing', 'a staged object is written before it is committed');
    await translated('write an object', async () => {
      for (let done = 0; done < bytes.byteLength; ) {
        const length = Math.min(bytes.byteLength - done, SYNC_AHEAD_BYTES);
        const { bytesWritten } = await this.#file.write(bytes, done, length);
        done += bytesWritten;
        this.#unsyncedBytes += bytesWritten;
        if (this.#unsyncedBytes >= SYNC_AHEAD_BYTES && !this.#isSyncingAhead) this.#syncAhead();
      }
    });
    this.#size += bytes.byteLength;
    this.#ground.onBytes('write', bytes.byteLength);
  }

  async commit(key: string, options: PutOptions): Promise<boolean> {
    assert(this.#state !== 'gone', 'a staged object is committed once');
    const { path, folder } = this.#ground.locate(key);
    return translated('commit an object', async () => {
      // Side by side, and both before the name appears. Its failure is met where it is awaited.
      const folderReady = this.#ground.ensureFolder(folder);
      folderReady.catch(() => undefined);
      await this.#seal();
      await folderReady;
      await options.after;
      const won = options.exclusive ? await this.#link(path, folder) : await this.#rename(path, folder);
      // The loser waits too: "it is there already" must not be unsaid by a power failure.
      await Promise.all([
        this.#ground.syncFolder(folder),
        this.#closing,
        won && options.exclusive ? this.#unlink() : undefined,
      ]);
      return won;
    });
  }

  async discard(): Promise<void> {
    if (this.#state === 'gone') return;
    const wasOpen = this.#state === 'writing';
    this.#state = 'gone';
    await translated('discard an object', async () => {
      await this.#syncedAhead.catch(() => undefined); // nobody closes what is being synced
      await (wasOpen ? this.#file.close() : this.#closing);
      await this.#unlink();
    });
  }

  async #seal(): Promise<void> {
    if (this.#state !== 'writing') return;
    // The system tells of a failed write-back once, and not to those who ask later.
    await this.#syncedAhead;
    await this.#file.datasync();
    this.#state = 'sealed';
    this.#closing = this.#file.close();
    this.#closing.catch(() => undefined); // it is met where the commit ends
  }

  #syncAhead(): void {
    this.#unsyncedBytes = 0;
    this.#isSyncingAhead = true;
    const before = this.#syncedAhead;
    const now = this.#file.datasync().finally(() => {
      this.#isSyncingAhead = false;
    });
    this.#syncedAhead = Promise.all([before, now]).then(() => undefined);
    this.#syncedAhead.catch(() => undefined); // it is met where the object is sealed
  }

  async #link(path: string, folder: string): Promise<boolean> {
    try {
      await inFolder(this.#ground, folder, () => this.#ground.disk.link(this.#path, path));
    } catch (error) {
      if (systemCode(error) !== 'EEXIST') throw error;
      // NFS repeats a link whose answer was lost, and then reports its own success as EEXIST.
      if ((await this.#ground.disk.stat(this.#path)).nlink < 2) return false;
    }
    this.#state = 'gone';
    return true;
  }

  async #rename(path: string, folder: string): Promise<boolean> {
    await inFolder(this.#ground, folder, () => this.#ground.disk.rename(this.#path, path));
    this.#state = 'gone';
    return true;
  }

  async #unlink(): Promise<void> {
    try {
      await this.#ground.disk.unlink(this.#path);
    } catch (error) {
      if (!isAbsent(error)) throw error;
    }
  }
}

/** A folder that was there can have been removed by a deletion since; it is made again, once. */
export async function inFolder<T>(
  { ensureFolder }: Pick<StagingGround, 'ensureFolder'>,
  folder: string,
  place: () => Promise<T>,
): Promise<T> {
  try {
    return await place();
  } catch (error) {
    if (!isAbsent(error)) throw error;
    await ensureFolder(folder, true);
    return place();
  }
}
