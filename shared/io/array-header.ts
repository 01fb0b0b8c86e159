// What is known of an array before its data: shape, dtype, order. And the identity that follows from header and data.

import { createHash, type Hash } from 'node:crypto';
import { FrechetError } from '../errors.ts';
import { ARRAY_BYTES_MAX, ARRAY_RANK_MAX, ARRAY_SIDE_MAX } from '../job/limits.ts';
import { DTYPES, type Dtype } from '../math/dtype.ts';
import type { Order } from '../math/view.ts';

export interface ArrayHeader {
  /** Zero to three sides. */
  readonly shape: readonly number[];
  readonly dtype: Dtype;
  /** `C` for rank 0 and 1. */
  readonly order: Order;
}

/** An array on its way: the header, then the data, little-endian, in pieces of any size. */
export interface ArrayStream {
  readonly header: ArrayHeader;
  readonly data: AsyncIterable<Uint8Array>;
}

/** Bytes of an array's data, exact at any size. */
function exactDataBytes({ shape, dtype }: ArrayHeader): bigint {
  return shape.reduce((product, side) => product * BigInt(side), BigInt(DTYPES[dtype].bytes));
}

/** Bytes of an array's data. @throws array-too-large past ARRAY_BYTES_MAX or ARRAY_SIDE_MAX, array-syntax past ARRAY_RANK_MAX. */
export function dataBytes(header: ArrayHeader): number {
  if (header.shape.length > ARRAY_RANK_MAX) {
    throw new FrechetError('array-syntax', `An array has at most ${ARRAY_RANK_MAX} dimensions.`);
  }
  const longest = Math.max(0, ...header.shape);
  if (longest > ARRAY_SIDE_MAX) {
    throw new FrechetError('array-too-large', `A side of an array has at most ${ARRAY_SIDE_MAX} elements.`, {
      limit: ARRAY_SIDE_MAX,
      requested: longest,
    });
  }
  const bytes = exactDataBytes(header);
  if (bytes > BigInt(ARRAY_BYTES_MAX)) {
    throw new FrechetError('array-too-large', `An array has at most ${ARRAY_BYTES_MAX} bytes of data.`, {
      limit: ARRAY_BYTES_MAX,
      requested: bytes <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(bytes) : String(bytes),
    });
  }
  return Number(bytes);
}

/** The hash of an array, fed with its header; after all data, its hex digest is the array's id. */
export function startArrayHash(header: ArrayHeader): Hash {
  return createHash('sha256').update(arrayHashPrefix(header));
}

/** What is hashed before the data. */
export function arrayHashPrefix({ shape, dtype, order }: ArrayHeader): string {
  return `${DTYPES[dtype].descr} ${order} ${shape.join(',')}\n`;
}
