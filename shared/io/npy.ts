// NumPy's .npy format, both ways, streaming: a header of some bytes, then data that never lie whole in memory. Versions
// 1.0, 2.0 and 3.0 are read, 1.0 is written, byte for byte as NumPy 2 does.

import { assert } from '../assert.ts';
import { type ErrorCode, FrechetError } from '../errors.ts';
import { DTYPES } from '../math/dtype.ts';
import { type ArrayHeader, type ArrayStream, dataBytes } from './array-header.ts';
import { ByteSource } from './byte-source.ts';
import { type NpyConversion, npyConversion } from './npy-convert.ts';
import { parseNpyHeader } from './npy-header.ts';

const MAGIC = Buffer.from('\x93NUMPY', 'latin1');
/** No header of a plain array comes near it, and parsing this much is nothing. */
export const NPY_HEADER_BYTES_MAX = 10_000;
/**
 * What NumPy pads a header to: a multiple of 64 that leaves room for one side to grow to 21 digits. Three sides of 16
 * digits, all that a safe integer has, still fit the second multiple, and nothing fits the first.
 */
const HEADER_BYTES = 128;
/** Items are converted in pieces of this size: what one pass may hold up the event loop with, and add to memory. */
const CONVERSION_BYTES = 64 * 1024;

export interface NpyOptions {
  /** Bytes of the whole body, where the sender said so. */
  readonly contentLength?: number | undefined;
}

/** The bytes before the data of a .npy file. */
export function encodeNpyHeader({ shape, dtype, order }: ArrayHeader): Uint8Array {
  const fortran = order === 'F';
  const sides = shape.length === 1 ? `${shape[0]},` : shape.join(', ');
  const literal = `{'descr': '${DTYPES[dtype].descr}', 'fortran_order': ${fortran ? 'True' : 'False'}, 'shape': (${sides}), }`;
  const prefixBytes = MAGIC.byteLength + 4;
  assert(prefixBytes + literal.length < HEADER_BYTES, 'a header of three sides fits');
  const header = Buffer.alloc(HEADER_BYTES, ' ');
  MAGIC.copy(header);
  header.set([1, 0], MAGIC.byteLength);
  header.writeUInt16LE(HEADER_BYTES - prefixBytes, MAGIC.byteLength + 2);
  header.write(literal, prefixBytes, 'latin1');
  header.write('\n', HEADER_BYTES - 1);
  return header;
}

/**
 * Reads a .npy file. Resolves when the header is known and acceptable; `data` then converts as it is read, and must be
 * read to its end or returned. A fault in the header closes `source` (for a request that is to be answered, pass
 * `request.iterator({ destroyOnReturn: false })`).
 *
 * @throws the npy codes; array-too-large. `data` throws npy-truncated, npy-trailing-data and npy-lossy-cast.
 */
export async function decodeNpy(
  source: AsyncIterable<Uint8Array>,
  options: NpyOptions = {},
): Promise<ArrayStream> {
  const bytes = new ByteSource(source);
  try {
    const { text, headerBytes } = await readHeaderText(bytes);
    const { descr, order, shape } = parseNpyHeader(text);
    const conversion = npyConversion(descr);
    const sourceBytes = shape.reduce((product, side) => product * BigInt(side), BigInt(conversion.itemBytes));
    checkContentLength(BigInt(headerBytes) + sourceBytes, options.contentLength);
    const header: ArrayHeader = { shape, dtype: conversion.dtype, order };
    dataBytes(header);
    return { header, data: convert(exactly(bytes.rest(), Number(sourceBytes)), conversion) };
  } catch (error) {
    await bytes.close();
    throw error;
  }
}

/** Everything up to the data. The length field decides whether the header is read at all. */
async function readHeaderText(bytes: ByteSource): Promise<{ text: string; headerBytes: number }> {
  const magic = await bytes.take(MAGIC.byteLength);
  if (!magic.equals(MAGIC)) throw fault('npy-bad-magic', 'The body does not begin as a .npy file does.');
  const version = await takeAll(bytes, 2);
  const [major = 0, minor] = version;
  if (major < 1 || major > 3 || minor !== 0) {
    throw fault('npy-version', `Version ${major}.${minor} of .npy is not known; 1.0, 2.0 and 3.0 are.`);
  }
  const field = await takeAll(bytes, major === 1 ? 2 : 4);
  const length = major === 1 ? field.readUInt16LE() : field.readUInt32LE();
  if (length > NPY_HEADER_BYTES_MAX) {
    throw new FrechetError(
      'npy-header-too-large',
      `A .npy header has at most ${NPY_HEADER_BYTES_MAX} bytes.`,
      { limit: NPY_HEADER_BYTES_MAX, requested: length },
    );
  }
  // Version 3 is UTF-8, the others Latin-1; whatever is not ASCII stands inside strings that are refused anyway.
  const text = (await takeAll(bytes, length)).toString('latin1');
  return { text, headerBytes: MAGIC.byteLength + 2 + field.byteLength + length };
}

async function takeAll(bytes: ByteSource, count: number): Promise<Buffer> {
  const taken = await bytes.take(count);
  if (taken.byteLength < count) throw fault('npy-truncated', 'The body ends inside the .npy header.');
  return taken;
}

function checkContentLength(expected: bigint, contentLength: number | undefined): void {
  if (contentLength === undefined || BigInt(contentLength) === expected) return;
  throw fault(
    'npy-size-mismatch',
    `By its header the .npy file has ${expected} bytes, by Content-Length ${contentLength}.`,
  );
}

/** Passes `source` on where it has exactly `count` bytes, and fails at the first byte too many or the end too early. */
async function* exactly(source: AsyncIterable<Uint8Array>, count: number): AsyncGenerator<Uint8Array> {
  let seen = 0;
  for await (const piece of source) {
    seen += piece.byteLength;
    if (seen > count) throw fault('npy-trailing-data', `The body goes on after the ${count} bytes of data.`);
    yield piece;
  }
  if (seen < count) throw fault('npy-truncated', `The body ends after ${seen} of ${count} bytes of data.`);
}

/** Converts whole items; one that straddles two pieces waits for its other half. */
async function* convert(
  source: AsyncIterable<Uint8Array>,
  { itemBytes, convert }: NpyConversion,
): AsyncGenerator<Uint8Array> {
  if (convert === undefined) {
    yield* source;
    return;
  }
  const item = new Uint8Array(itemBytes);
  let held = 0;
  for await (let piece of source) {
    if (held > 0) {
      const part = piece.subarray(0, itemBytes - held);
      item.set(part, held);
      held += part.byteLength;
      piece = piece.subarray(part.byteLength);
      if (held < itemBytes) continue;
      yield convert(item);
      held = 0;
    }
    const whole = piece.byteLength - (piece.byteLength % itemBytes);
    for (let start = 0; start < whole; start += CONVERSION_BYTES) {
      yield convert(piece.subarray(start, Math.min(start + CONVERSION_BYTES, whole)));
    }
    item.set(piece.subarray(whole));
    held = piece.byteLength - whole;
  }
}

function fault(code: ErrorCode, detail: string): FrechetError {
  return new FrechetError(code, detail);
}
