// Arrays on this machine's disk: read for a job without being held whole in memory, written whole or not at all.

import { createHash, randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, rename, rm, stat } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { digestPrefix } from '../client/digest.ts';
import type { ArrayInput } from '../client/index.ts';
import { decodeNpy, type NpyHeader, readNpyHeader } from '../client/npy.ts';
import { UsageError } from './exit-codes.ts';

/** A file up to this size travels inside the request. */
const SMALL_FILE_BYTES_MAX = 16 * 1024;
const HEADER_BYTES_MAX = 10_240;

/** `FILE.npy`, `shape:512x64`, or `id:` and the id of an uploaded array. @throws UsageError */
export async function readArrayInput(text: string): Promise<ArrayInput> {
  if (text.startsWith('shape:')) return { shape: parseShape(text.slice('shape:'.length)) };
  if (text.startsWith('id:')) return text.slice('id:'.length);
  return openNpyFile(text);
}

/** @throws UsageError */
export function parseShape(text: string): number[] {
  if (/^\d{1,10}(x\d{1,10})?$/.test(text)) return text.split('x').map(Number);
  throw new UsageError(`a shape is ROWSxCOLS such as 512x64, not ${JSON.stringify(text)}`);
}

/** @throws UsageError where there is no such file */
export async function openNpyFile(path: string): Promise<ArrayInput> {
  const start = await readStart(path);
  const header = readNpyHeader(start.bytes);
  if (start.isWhole) return header === undefined ? start.bytes : decodeNpy(start.bytes);
  return {
    stream: () => Readable.toWeb(createReadStream(path)) as ReadableStream<Uint8Array>, // of Node's own kind
    id: header === undefined ? undefined : await fileArrayId(path, header),
  };
}

async function readStart(path: string): Promise<{ bytes: Uint8Array; isWhole: boolean }> {
  try {
    const file = await open(path);
    try {
      const { size } = await file.stat();
      const isWhole = size <= SMALL_FILE_BYTES_MAX;
      const bytes = new Uint8Array(isWhole ? size : HEADER_BYTES_MAX);
      await file.read(bytes, 0, bytes.length, 0);
      return { bytes, isWhole };
    } finally {
      await file.close();
    }
  } catch (error) {
    throw unreadable(path, error);
  }
}

/** The text of a file, or of standard input for `-`. @throws UsageError where there is no such file */
export async function readTextFile(path: string, stdin: AsyncIterable<Uint8Array | string>): Promise<string> {
  const pieces: string[] = [];
  const decoder = new TextDecoder();
  try {
    for await (const piece of path === '-' ? stdin : createReadStream(path)) {
      pieces.push(typeof piece === 'string' ? piece : decoder.decode(piece as Uint8Array, { stream: true }));
    }
  } catch (error) {
    throw unreadable(path, error);
  }
  return pieces.join('');
}

function unreadable(path: string, error: unknown): UsageError {
  const { code, message } = error as NodeJS.ErrnoException;
  const reason = code === 'ENOENT' ? 'there is no such file' : message;
  return new UsageError(`cannot read ${path}: ${reason}`, { cause: error });
}

async function fileArrayId(path: string, header: NpyHeader): Promise<string> {
  const hash = createHash('sha256').update(digestPrefix(header));
  for await (const piece of createReadStream(path, { start: header.byteLength }))
    hash.update(piece as Buffer);
  return hash.digest('hex');
}

/** Writes a file beside its place and moves it there when it is complete. @throws UsageError where it cannot be written */
export async function writeWhole(path: string, chunks: AsyncIterable<Uint8Array>): Promise<void> {
  if (await isDirectory(path)) throw new UsageError(`cannot write ${path}: it is a folder`);
  const part = `${path}.${randomUUID().slice(0, 8)}.part`;
  const file = await open(part, 'wx').catch((error: Error) => {
    throw new UsageError(`cannot write ${path}: ${error.message}`, { cause: error });
  });
  try {
    try {
      for await (const chunk of chunks) await file.writeFile(chunk);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(part, path);
  } catch (error) {
    await rm(part, { force: true });
    throw error;
  }
}

async function isDirectory(path: string): Promise<boolean> {
  return stat(path).then(
    info => info.isDirectory(),
    () => false,
  );
}
