// Group commit for folders: however many files appear in a folder at once, they share one fsync of it. An entry is
// durable only after an fsync that *started* after the entry was made, so a call never joins one already running.

interface Syncing {
  readonly running: Promise<void>;
  next: Promise<void> | undefined;
}

/** Runs `fsync` (of one folder, by path) as seldom as correctness allows. */
export class FolderSync {
  readonly #fsync: (folder: string) => Promise<void>;
  readonly #folders = new Map<string, Syncing>();

  constructor(fsync: (folder: string) => Promise<void>) {
    this.#fsync = fsync;
  }

  /** Resolves when everything that was in `folder` at the time of this call is durable; rejects as `fsync` does. */
  sync(folder: string): Promise<void> {
    const syncing = this.#folders.get(folder);
    if (syncing === undefined) return this.#start(folder);
    // The failure of the fsync under way concerns those who wait for it, not those who come after.
    syncing.next ??= syncing.running.catch(() => undefined).then(() => this.#start(folder));
    return syncing.next;
  }

  #start(folder: string): Promise<void> {
    const running = this.#fsync(folder).finally(() => {
      if (syncing.next === undefined) this.#folders.delete(folder);
    });
    const syncing: Syncing = { running, next: undefined };
    this.#folders.set(folder, syncing);
    return running;
  }
}
