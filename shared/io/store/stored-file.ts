// An object open for reading. The file descriptor keeps the bytes alive through a replacement or a deletion.

import { CALL_BYTES_MAX, type DiskFile, translated } from './disk.ts';
import type { StoredObject } from './store.ts';

export class StoredFile implements StoredObject {
  readonly size: number;
  readonly modifiedAt: Date;
  readonly #file: DiskFile;
  readonly #onBytes: (direction: 'read', bytes: number) => void;

  constructor(
    file: DiskFile,
    size: number,
    modifiedAt: Date,
    onBytes: (direction: 'read', bytes: number) => void,
  ) {
    this.#file = file;
    this.size = size;
    this.modifiedAt = modifiedAt;
    this.#onBytes = onBytes;
  }

  async read(target: Uint8Array, position: number): Promise<number> {
    return translated('read an object', async () => {
      let done = 0;
      while (done < target.byteLength) {
        const length = Math.min(target.byteLength - done, CALL_BYTES_MAX);
        const { bytesRead } = await this.#file.read(target, done, length, position + done);
        if (bytesRead === 0) break;
        done += bytesRead;
      }
      this.#onBytes('read', done);
      return done;
    });
  }

  async close(): Promise<void> {
    await this.#file.close();
  }
}
