// The contract of durable storage: objects that appear whole or not at all, known by slash-separated keys.
// Deliberately absent: appends, renames, locks, file paths, so that object storage fits the same contract.
// No key may be another key followed by a slash (a file system could not hold both).

import { assert } from '../../assert.ts';

/** Largest object that `get` reads whole: documents are far smaller, data are read through `open`. */
export const DOCUMENT_BYTES_MAX = 64 * 1024 * 1024;

export interface PutOptions {
  /** Create only: false is the answer where an object is there already, which stays untouched. Else replace atomically. */
  readonly exclusive: boolean;
  /** The object does not appear before this has resolved, and never where it rejects; its bytes may be written meanwhile. */
  readonly after?: Promise<unknown>;
}

export interface DeleteOptions {
  /** False where it does no harm that a power failure brings the object back. */
  readonly durable: boolean;
}

export interface ListOptions {
  /** Only names greater than this one. */
  readonly after?: string | undefined;
  /** Only names less than this one. */
  readonly before?: string | undefined;
  readonly reverse?: boolean;
  readonly limit?: number;
}

export interface ObjectInfo {
  readonly size: number;
  readonly modifiedAt: Date;
}

/** An object open for random access; it stays readable after a replacement or deletion until it is closed. */
export interface StoredObject extends ObjectInfo {
  /**
   * Fills `target` (which may lie in shared memory) from `position` on and answers the bytes read, fewer than
   * asked only at the end of the object.
   */
  read(target: Uint8Array, position: number): Promise<number>;
  close(): Promise<void>;
}

/** An object being written. Nothing of it is visible before `commit`; one writer, one call at a time. */
export interface StagedObject {
  readonly size: number;
  /** Takes all of `bytes`; they may be reused when the promise resolves. */
  write(bytes: Uint8Array): Promise<void>;
  /**
   * Makes the object appear, durable when the promise resolves. After false (exclusive, and something is there) it
   * may be committed again. Nothing can be written after the first call.
   */
  commit(key: string, options: PutOptions): Promise<boolean>;
  /** Forgets the object; after a commit that answered true, does nothing. May be repeated. */
  discard(): Promise<void>;
}

export interface VolumeUsage {
  readonly freeBytes: number;
  readonly totalBytes: number;
}

/**
 * All methods throw `store-full` where there is no space and `unavailable` where the storage fails. After a failed
 * `put` or `commit` the object is there whole or not at all, which of the two is unknown.
 */
export interface Store {
  /** Writes an object made of `parts`, one after the other. Durable when the promise resolves. */
  put(key: string, parts: readonly Uint8Array[], options: PutOptions): Promise<boolean>;
  stage(): Promise<StagedObject>;
  /** The whole object, at most DOCUMENT_BYTES_MAX; undefined where there is none. */
  get(key: string): Promise<Uint8Array | undefined>;
  open(key: string): Promise<StoredObject | undefined>;
  stat(key: string): Promise<ObjectInfo | undefined>;
  /** The distinct next segments of the keys under `prefix`, sorted by character code. Empty where there are none. */
  list(prefix: string, options?: ListOptions): Promise<string[]>;
  /** True where an object was there. Durable when the promise resolves, unless that is not wanted. */
  delete(key: string, options?: DeleteOptions): Promise<boolean>;
  /** Deletes every object under `prefix`, in no particular order; not atomic. */
  deletePrefix(prefix: string): Promise<void>;
  /** Forgets a prefix where nothing is left under it; else does nothing. Only for prefixes nobody writes to any more. */
  prune(prefix: string): Promise<void>;
  /** Removes what crashed writers left behind more than `ageSeconds` ago; answers how many leftovers. */
  sweep(ageSeconds: number): Promise<number>;
  /** Undefined where the storage has no fixed size. */
  usage(): Promise<VolumeUsage | undefined>;
}

const SEGMENT = '(?!\\.\\.?(?:/|$))[A-Za-z0-9._-]{1,255}';
const KEY = new RegExp(`^${SEGMENT}(?:/${SEGMENT})*$`);

/** The segments of a key. Keys are made by our own code, so a malformed one is a bug. */
export function keySegments(key: string): string[] {
  assert(KEY.test(key), `malformed store key: ${key}`);
  return key.split('/');
}
