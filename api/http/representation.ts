// An array as HTTP shows it: .npy (with ranges), nested JSON lists, or CSV. One road for uploaded arrays, results and
// blocks, because to a client they are the same.

import type { Request, Response } from 'express';
import type { ArrayHeader } from '../../shared/io/array-header.ts';
import { encodeCsvArray } from '../../shared/io/csv-array.ts';
import { encodeJsonArray } from '../../shared/io/json-array.ts';
import { encodeNpyHeader } from '../../shared/io/npy.ts';
import type { ReadBytes } from '../../shared/io/row-order.ts';
import { downloads } from './downloads.ts';
import { answerNotModified, type ByteRange, negotiate, requestedRange } from './negotiate.ts';
import { sendPieces } from './send.ts';

export const ARRAY_MEDIA_TYPES = ['application/x-npy', 'application/json', 'text/csv'] as const;
export type ArrayMediaType = (typeof ARRAY_MEDIA_TYPES)[number];

/** Data that can be read from any place, verified: an array's or a result's, without header. */
export interface ArrayData {
  readonly header: ArrayHeader;
  readonly bytes: number;
  /** What the ETag of the .npy form says; other forms add a suffix. */
  readonly tag: string;
  /** The bytes [start, stop) of the data. */
  readonly read: ReadBytes;
}

const TAG_SUFFIX = { 'application/x-npy': '', 'application/json': '.json', 'text/csv': '.csv' } as const;
const CONTENT_TYPE = {
  'application/x-npy': 'application/x-npy',
  'application/json': 'application/json',
  'text/csv': 'text/csv; charset=utf-8',
} as const;

/**
 * Answers GET and HEAD for an array.
 *
 * @throws not-acceptable, range-not-satisfiable, system-busy, and what reading throws
 */
export async function answerArray(request: Request, response: Response, array: ArrayData): Promise<void> {
  // A stack has no rows of its own to be lines.
  const offered = array.header.shape.length > 2 ? ARRAY_MEDIA_TYPES.slice(0, 2) : ARRAY_MEDIA_TYPES;
  const type = negotiate(request, response, offered);
  if (type === 'application/x-npy') response.setHeader('Accept-Ranges', 'bytes');
  if (answerNotModified(request, response, `${array.tag}${TAG_SUFFIX[type]}`)) return;
  response.setHeader('Content-Type', CONTENT_TYPE[type]);
  if (type === 'application/x-npy') {
    await answerNpy(request, response, array);
  } else if (request.method === 'HEAD') {
    response.end();
  } else {
    await answerText(
      request,
      response,
      array,
      type === 'application/json' ? encodeJsonArray : encodeCsvArray,
    );
  }
}

async function answerText(
  request: Request,
  response: Response,
  array: ArrayData,
  encode: (header: ArrayHeader, read: ReadBytes) => AsyncIterable<Uint8Array>,
): Promise<void> {
  const { header } = array;
  if (header.order === 'C') {
    await downloads.lend(request, array, read => sendPieces(response, encode(header, read)));
  } else {
    await downloads.gather(request, array, encode(header, array.read), text => sendPieces(response, text));
  }
}

async function answerNpy(request: Request, response: Response, array: ArrayData): Promise<void> {
  const header = encodeNpyHeader(array.header);
  const size = header.byteLength + array.bytes;
  const range = requestedRange(request, response, size);
  const { start, stop } = range ?? { start: 0, stop: size };
  response.setHeader('Content-Length', stop - start);
  if (range !== undefined) {
    response.statusCode = 206;
    response.setHeader('Content-Range', `bytes ${start}-${stop - 1}/${size}`);
  }
  if (request.method === 'HEAD') response.end();
  else {
    await downloads.lend(request, array, read =>
      sendPieces(response, npyBytes(header, read, { start, stop })),
    );
  }
}

/** Bytes [start, stop) of the .npy file, of which only the data touched are read. */
async function* npyBytes(
  header: Uint8Array,
  read: ReadBytes,
  { start, stop }: ByteRange,
): AsyncGenerator<Uint8Array> {
  const headerBytes = header.byteLength;
  if (start < headerBytes) yield header.subarray(start, stop);
  const dataStart = Math.max(0, start - headerBytes);
  const dataStop = stop - headerBytes;
  if (dataStop > dataStart) yield* read(dataStart, dataStop);
}
