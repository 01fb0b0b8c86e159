// Array ids (contract §3), computed here, so that a client can ask whether an upload is needed.

import { DTYPES } from '../../shared/math/dtype.ts';
import type { NdArray } from './array.ts';

/** WebCrypto digests whole buffers, so the data are copied once: above this, uploading costs less than it saves. */
const DIGEST_BYTES_MAX = 1024 ** 3;

/** What the data of an array are hashed after. */
export function digestPrefix({ shape, dtype, order }: Omit<NdArray, 'data'>): string {
  return `${DTYPES[dtype].descr} ${order} ${shape.join(',')}\n`;
}

/**
 * The id of an array; undefined where it cannot be computed: past 1 GiB, or on a page without WebCrypto, which
 * browsers hide from plain HTTP.
 */
export async function arrayId(array: NdArray): Promise<string | undefined> {
  const subtle = globalThis.crypto?.subtle;
  const { data } = array;
  if (subtle === undefined || data.byteLength > DIGEST_BYTES_MAX) return undefined;
  const prefix = new TextEncoder().encode(digestPrefix(array));
  const message = new Uint8Array(prefix.byteLength + data.byteLength);
  message.set(prefix);
  message.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), prefix.byteLength);
  const digest = new Uint8Array(await subtle.digest('SHA-256', message));
  return Array.from(digest, byte => byte.toString(16).padStart(2, '0')).join('');
}
