// Uploaded arrays, by tenant and digest. An array is one sealed object, data and metadata together: uploading it again
// replaces the whole (which renews it, and heals damaged bytes), deleting it is one removal, and nothing can dangle.
// Beside it lies an empty entry under `uploads/`, named by time, which only serves listing and is never believed alone.

import { encodeTime } from 'ulid';
import { assert } from '../assert.ts';
import { errorCode, FrechetError } from '../errors.ts';
import { ARRAY_RETENTION_SECONDS, RESULT_CHUNK_BYTES } from '../job/limits.ts';
import { type ArrayHeader, arrayHashPrefix, dataBytes } from './array-header.ts';
import { newestFirst, pruneShard, shardOf } from './store/newest-first.ts';
import { encodeFooter, openSealed, type SealedFooter, type SealedObject } from './store/sealed.ts';
import type { StagedObject, Store } from './store/store.ts';
import { type StartHash, type StreamHash, startHash } from './stream-hash.ts';

/** What a client sees of an array. */
export interface ArrayMetadata extends ArrayHeader {
  readonly id: string;
  /** Bytes of the data, without any header. */
  readonly bytes: number;
  readonly createdAt: string;
  readonly expiresAt: string;
}

interface ArrayFooter extends ArrayMetadata, SealedFooter {
  readonly version: 1;
}

/** An array open for reading; the caller closes it. */
export type OpenArray = SealedObject<ArrayFooter>;

/** A received array whose id is known and which nobody sees yet: commit it or discard it. */
export interface StagedArray extends ArrayHeader {
  readonly id: string;
  readonly bytes: number;
  /** Durable when the promise resolves. `created` is false where the tenant had the array; it is renewed then. */
  commit(): Promise<{ readonly array: ArrayMetadata; readonly created: boolean }>;
  /** May be called at any time and repeatedly; after a commit it does nothing. */
  discard(): Promise<void>;
}

export interface Page<T> {
  readonly data: readonly T[];
  readonly nextCursor: string | null;
}

const ARRAY_ID = /^[0-9a-f]{64}$/;
const UPLOAD = /^[0-9A-HJKMNP-TV-Z]{10}-[0-9a-f]{64}$/;

export class ArrayStore {
  readonly #store: Store;
  readonly #now: () => number;
  readonly #startLongHash: StartHash;

  /**
   * @param now answers milliseconds since the epoch
   * @param startLongHash for arrays of more than a chunk
   */
  constructor(store: Store, now: () => number = Date.now, startLongHash: StartHash = startHash) {
    this.#store = store;
    this.#now = now;
    this.#startLongHash = startLongHash;
  }

  /**
   * Receives an array: `data` go to the store as they come, at most one chunk is held in memory, and a source that
   * fails or ends leaves nothing behind. @throws array-too-large
   */
  async stage(tenant: string, header: ArrayHeader, data: AsyncIterable<Uint8Array>): Promise<StagedArray> {
    const bytes = dataBytes(header);
    const object = await this.#store.stage();
    try {
      const start = bytes > RESULT_CHUNK_BYTES ? this.#startLongHash : startHash;
      const received = await receive(object, bytes, start(arrayHashPrefix(header)), data);
      const { shape, dtype, order } = header;
      const upload = { shape, dtype, order, bytes, ...received };
      let result: Promise<{ array: ArrayMetadata; created: boolean }> | undefined;
      return {
        shape,
        dtype,
        order,
        bytes,
        id: received.id,
        commit: () => {
          result ??= this.#commit(tenant, object, upload).finally(() => object.discard());
          return result;
        },
        discard: () => object.discard(),
      };
    } catch (error) {
      await object.discard();
      throw error;
    }
  }

  /** Metadata of a live array; an expired one counts as absent. */
  async get(tenant: string, id: string): Promise<ArrayMetadata | undefined> {
    const array = await this.open(tenant, id);
    await array?.close();
    return array && metadataOf(array.footer);
  }

  /** Opens a live array for reading its data. @throws operand-corrupt where its metadata are damaged. */
  async open(tenant: string, id: string): Promise<OpenArray | undefined> {
    const array = await this.#openAny(tenant, id);
    if (array === undefined || this.#isLive(array.footer)) return array;
    await array.close();
    return undefined;
  }

  /** Opens an array for a job that was accepted while it lived: such a job may read it until it is collected. */
  async openForJob(tenant: string, id: string): Promise<OpenArray | undefined> {
    return this.#openAny(tenant, id);
  }

  /** Live arrays, newest first. @throws query-invalid for a cursor that is none. */
  async list(tenant: string, limit: number, cursor?: string): Promise<Page<ArrayMetadata>> {
    if (cursor !== undefined && !UPLOAD.test(cursor)) {
      throw new FrechetError('query-invalid', 'The cursor is not one that a listing of arrays gave.');
    }
    const found: { name: string; array: ArrayMetadata }[] = [];
    for await (const name of newestFirst(this.#store, `${tenantKey(tenant)}/uploads`, cursor)) {
      const array = await this.get(tenant, name.slice(11));
      // An entry without its array is what a crash or a deletion left; one of another time belongs to an earlier life.
      if (array === undefined || uploadName(array.createdAt, array.id) !== name) continue;
      if (found.length === limit) {
        return { data: found.map(entry => entry.array), nextCursor: found.at(-1)?.name ?? null };
      }
      found.push({ name, array });
    }
    return { data: found.map(entry => entry.array), nextCursor: null };
  }

  /** True where a live array was there. */
  async delete(tenant: string, id: string): Promise<boolean> {
    const array = await this.#openAny(tenant, id);
    if (array === undefined) return false;
    await array.close();
    const removed = await this.#store.delete(arrayKey(tenant, id));
    await this.#deleteEntry(tenant, id, uploadName(array.footer.createdAt, id));
    return removed && this.#isLive(array.footer);
  }

  /**
   * Removes arrays that expired more than `graceSeconds` ago, unless they are needed, and entries that list none.
   * Answers how many arrays went. Looking and removing are two steps: an upload of the same bytes that falls between
   * them is removed too, and a job that names it is told so.
   */
  async collectExpired(
    tenant: string,
    graceSeconds: number,
    isNeeded: (id: string) => Promise<boolean>,
  ): Promise<number> {
    const expiredBefore = this.#now() - graceSeconds * 1000;
    const uploads = `${tenantKey(tenant)}/uploads`;
    // None younger can have expired; a renewed one keeps its entry, so that some older ones have not.
    const bound = encodeTime(Math.max(0, expiredBefore - ARRAY_RETENTION_SECONDS * 1000));
    let removed = 0;
    for await (const name of newestFirst(this.#store, uploads, bound)) {
      const id = name.slice(bound.length + 1);
      const footer = await this.#occupant(tenant, id);
      if (footer === undefined || (footer !== 'damaged' && uploadName(footer.createdAt, id) !== name)) {
        await this.#deleteEntry(tenant, id, name);
        continue;
      }
      if (footer !== 'damaged' && Date.parse(footer.expiresAt) > expiredBefore) continue;
      if (await isNeeded(id)) continue;
      await this.#store.delete(arrayKey(tenant, id));
      await this.#deleteEntry(tenant, id, name);
      removed += 1;
    }
    return removed;
  }

  async #openAny(tenant: string, id: string): Promise<OpenArray | undefined> {
    if (!ARRAY_ID.test(id)) return undefined;
    return openSealed<ArrayFooter>(this.#store, arrayKey(tenant, id), 'operand-corrupt');
  }

  async #commit(
    tenant: string,
    object: StagedObject,
    upload: Omit<ArrayFooter, 'version' | 'createdAt' | 'expiresAt'>,
  ): Promise<{ array: ArrayMetadata; created: boolean }> {
    const key = arrayKey(tenant, upload.id);
    const occupant = await this.#occupant(tenant, upload.id);
    const live = typeof occupant === 'object' && this.#isLive(occupant);
    const now = this.#now();
    const footer: ArrayFooter = {
      version: 1,
      ...upload,
      createdAt: live ? occupant.createdAt : new Date(now).toISOString(),
      expiresAt: new Date(now + ARRAY_RETENTION_SECONDS * 1000).toISOString(),
    };
    const entry = entryKey(tenant, uploadName(footer.createdAt, upload.id));
    await object.write(encodeFooter(footer));
    if (live) {
      await object.commit(key, { exclusive: false });
      // A deletion may have taken the entry along meanwhile; without one the array would never be listed or collected.
      if ((await this.#store.stat(entry)) === undefined)
        await this.#store.put(entry, [], { exclusive: false });
      return { array: metadataOf(footer), created: false };
    }
    // The entry first: an array that exists is always listed.
    await this.#store.put(entry, [], { exclusive: false });
    const exclusive = occupant === undefined;
    while (!(await object.commit(key, { exclusive }))) {
      // Somebody uploaded the same bytes at the same time. Theirs stays, unless it has been deleted meanwhile.
      const winner = await this.get(tenant, upload.id);
      if (winner === undefined) continue;
      if (winner.createdAt !== footer.createdAt) await this.#store.delete(entry);
      return { array: winner, created: false };
    }
    return { array: metadataOf(footer), created: true };
  }

  /** An upload of the same bytes that has brought the array back since it was removed must not lose its entry to this. */
  async #deleteEntry(tenant: string, id: string, name: string): Promise<void> {
    await this.#store.delete(entryKey(tenant, name));
    const footer = await this.#occupant(tenant, id);
    if (typeof footer === 'object' && uploadName(footer.createdAt, id) === name) {
      await this.#store.put(entryKey(tenant, name), [], { exclusive: false });
    } else {
      await pruneShard(this.#store, `${tenantKey(tenant)}/uploads`, name, this.#now());
    }
  }

  /** What lies under an array's name: its footer, whether expired or not, or damage, which an upload replaces. */
  async #occupant(tenant: string, id: string): Promise<ArrayFooter | 'damaged' | undefined> {
    try {
      const array = await this.#openAny(tenant, id);
      await array?.close();
      return array?.footer;
    } catch (error) {
      if (errorCode(error) === 'operand-corrupt') return 'damaged';
      throw error;
    }
  }

  #isLive(footer: ArrayFooter): boolean {
    return Date.parse(footer.expiresAt) > this.#now();
  }
}

/**
 * Streams `data` into `object` while both digests run: the id over everything, and one for every chunk. A chunk is
 * hashed and written while the next one is received.
 */
async function receive(
  object: StagedObject,
  bytes: number,
  hash: StreamHash,
  data: AsyncIterable<Uint8Array>,
): Promise<{ id: string; chunks: string[] }> {
  const chunkBytes = Math.min(bytes, RESULT_CHUNK_BYTES);
  const chunks: string[] = [];
  let [chunk, spare] = [hash.allocate(chunkBytes), hash.allocate(bytes > chunkBytes ? chunkBytes : 0)];
  let [received, filled] = [0, 0];
  let storing = Promise.resolve();
  const store = async (full: Uint8Array) => {
    const [digest] = await Promise.all([hash.add(full), object.write(full)]);
    chunks.push(digest);
  };
  const flush = async () => {
    await storing;
    storing = store(chunk.subarray(0, filled));
    storing.catch(() => undefined); // it is met before the next, or at the end
    [chunk, spare] = [spare, chunk];
    filled = 0;
  };
  try {
    for await (const piece of data) {
      received += piece.byteLength;
      assert(received <= bytes, 'an array stream is as long as its header says');
      for (let taken = 0; taken < piece.byteLength; ) {
        const part = piece.subarray(taken, taken + chunkBytes - filled);
        chunk.set(part, filled);
        taken += part.byteLength;
        filled += part.byteLength;
        if (filled === chunkBytes) await flush();
      }
    }
    if (filled > 0) await flush();
    await storing;
    assert(object.size === bytes, 'an array stream is as long as its header says');
    return { id: await hash.finish(), chunks };
  } finally {
    // Nobody may discard what is still being written.
    await storing.catch(() => undefined);
    hash.discard();
  }
}

function metadataOf({ id, shape, dtype, order, bytes, createdAt, expiresAt }: ArrayFooter): ArrayMetadata {
  return { id, shape, dtype, order, bytes, createdAt, expiresAt };
}

function tenantKey(tenant: string): string {
  return `tenants/${tenant}`;
}

function arrayKey(tenant: string, id: string): string {
  return `${tenantKey(tenant)}/arrays/${id}`;
}

function uploadName(createdAt: string, id: string): string {
  return `${encodeTime(Date.parse(createdAt))}-${id}`;
}

function entryKey(tenant: string, name: string): string {
  return `${tenantKey(tenant)}/uploads/${shardOf(name)}/${name}`;
}
