// A sealed object: data, then a JSON footer that describes them, in one object, so that both appear together.
//
//   data · footer (JSON) · SHA-256 of the footer · length of the footer (8 bytes, little-endian) · "FRECHET1"
//
// The footer holds the SHA-256 of every RESULT_CHUNK_BYTES of the data, and data leave here only after the comparison.

import { createHash, webcrypto } from 'node:crypto';
import { assert } from '../../assert.ts';
import { type ErrorCode, FrechetError } from '../../errors.ts';
import { RESULT_CHUNK_BYTES } from '../../job/limits.ts';
import type { Store, StoredObject } from './store.ts';

const MAGIC = Buffer.from('FRECHET1', 'latin1');
const DIGEST_BYTES = 32;
const TRAILER_BYTES = DIGEST_BYTES + 8 + MAGIC.byteLength;
/** One read finds nearly every footer; a longer one costs a second. */
const TAIL_BYTES = 8 * 1024;
/** Its digest costs less than to ask another thread for it. */
const DIGESTED_HERE_BYTES_MAX = 64 * 1024;
const FOOTER_BYTES_MAX = 16 * 1024 * 1024;

/** What every footer says of its data. */
export interface SealedFooter {
  readonly bytes: number;
  /** SHA-256 of every RESULT_CHUNK_BYTES of the data, hex. */
  readonly chunks: readonly string[];
}

/** A sealed object, open for reading. */
export interface SealedObject<F extends SealedFooter> {
  readonly footer: F;
  /** Fills `target` from byte `position` of the data, unverified: the caller compares with the footer's chunks. */
  read(target: Uint8Array, position: number): Promise<number>;
  /** The bytes [start, stop) of the data in pieces of at most RESULT_CHUNK_BYTES, each verified before it is handed out. */
  readVerified(start: number, stop: number): AsyncGenerator<Uint8Array>;
  close(): Promise<void>;
}

/** What follows the data of a sealed object. */
export function encodeFooter(footer: SealedFooter): Uint8Array {
  const text = Buffer.from(JSON.stringify(footer));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.byteLength));
  return Buffer.concat([text, sha256(text), length, MAGIC]);
}

/** Opens a sealed object; undefined where there is none. @throws `corrupt` where footer or data are not as written. */
export async function openSealed<F extends SealedFooter>(
  store: Store,
  key: string,
  corrupt: ErrorCode,
): Promise<SealedObject<F> | undefined> {
  const opened = await store.open(key);
  if (opened === undefined) return undefined;
  const object = opened.size <= TAIL_BYTES ? await held(opened) : opened;
  try {
    const footer = await readFooter<F>(object, corrupt);
    return {
      footer,
      read: (target, position) => {
        assert(position + target.byteLength <= footer.bytes, 'a read stays inside the data');
        return object.read(target, position);
      },
      readVerified: (start, stop) => readVerified(object, footer, start, stop, corrupt),
      close: () => object.close(),
    };
  } catch (error) {
    await object.close();
    throw error;
  }
}

/** A small object, read once. */
async function held(object: StoredObject): Promise<StoredObject> {
  try {
    const bytes = await readTail(object, object.size);
    return {
      size: object.size,
      modifiedAt: object.modifiedAt,
      read: async (target, position) => bytes.copy(target, 0, position),
      close: () => object.close(),
    };
  } catch (error) {
    await object.close();
    throw error;
  }
}

/** The SHA-256 of one chunk, hex; of a long one off the event loop. `chunk` may be reused as soon as the call returns. */
export async function digestChunk(chunk: Uint8Array<ArrayBuffer>): Promise<string> {
  if (chunk.byteLength <= DIGESTED_HERE_BYTES_MAX) return sha256(chunk).toString('hex');
  return Buffer.from(await webcrypto.subtle.digest('SHA-256', chunk)).toString('hex');
}

/** One chunk is read and compared while the one before is used. */
async function* readVerified(
  object: StoredObject,
  footer: SealedFooter,
  start: number,
  stop: number,
  corrupt: ErrorCode,
): AsyncGenerator<Uint8Array> {
  assert(0 <= start && start <= stop && stop <= footer.bytes, 'a range lies inside the data');
  const load = async (index: number) => {
    const chunkStart = index * RESULT_CHUNK_BYTES;
    const chunk = new Uint8Array(Math.min(RESULT_CHUNK_BYTES, footer.bytes - chunkStart));
    const bytesRead = await object.read(chunk, chunkStart);
    if (bytesRead < chunk.byteLength || (await digestChunk(chunk)) !== footer.chunks[index]) {
      throw corruptError(corrupt, `chunk ${index} does not have its recorded SHA-256`);
    }
    return chunk.subarray(Math.max(start - chunkStart, 0), stop - chunkStart);
  };
  if (start === stop) return;
  let index = Math.floor(start / RESULT_CHUNK_BYTES);
  let loading: Promise<Uint8Array> | undefined = load(index);
  try {
    while (loading !== undefined) {
      const piece: Uint8Array = await loading;
      index += 1;
      loading = index * RESULT_CHUNK_BYTES < stop ? load(index) : undefined;
      loading?.catch(() => undefined); // it is met when its turn comes
      yield piece;
    }
  } finally {
    // Nobody may close what is still being read.
    await loading?.catch(() => undefined);
  }
}

async function readFooter<F extends SealedFooter>(object: StoredObject, corrupt: ErrorCode): Promise<F> {
  const tail = await readTail(object, TAIL_BYTES);
  const trailer = tail.subarray(-TRAILER_BYTES);
  if (trailer.byteLength < TRAILER_BYTES || !trailer.subarray(-MAGIC.byteLength).equals(MAGIC)) {
    throw corruptError(corrupt, 'the object does not end as it was written');
  }
  const length = Number(trailer.readBigUInt64LE(DIGEST_BYTES));
  if (length > Math.min(FOOTER_BYTES_MAX, object.size - TRAILER_BYTES)) {
    throw corruptError(corrupt, 'the length of the footer is impossible');
  }
  const whole =
    length + TRAILER_BYTES <= tail.byteLength ? tail : await readTail(object, length + TRAILER_BYTES);
  const text = whole.subarray(whole.byteLength - TRAILER_BYTES - length, whole.byteLength - TRAILER_BYTES);
  if (!sha256(text).equals(trailer.subarray(0, DIGEST_BYTES))) {
    throw corruptError(corrupt, 'the footer does not have its recorded SHA-256');
  }
  const footer = JSON.parse(text.toString()) as F; // its digest says that encodeFooter wrote it
  if (footer.bytes !== object.size - TRAILER_BYTES - length) {
    throw corruptError(corrupt, 'the data do not have their recorded size');
  }
  return footer;
}

async function readTail(object: StoredObject, length: number): Promise<Buffer> {
  const tail = Buffer.alloc(Math.min(length, object.size));
  const bytesRead = await object.read(tail, object.size - tail.byteLength);
  return tail.subarray(0, bytesRead);
}

function sha256(bytes: Uint8Array): Buffer {
  return createHash('sha256').update(bytes).digest();
}

function corruptError(code: ErrorCode, detail: string): FrechetError {
  return new FrechetError(code, `Stored data are damaged: ${detail}.`);
}
