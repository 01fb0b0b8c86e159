// An array in a body, or in a part of one: three media types in, one stream of header and data out.

import type { ArrayStream } from '../../shared/io/array-header.ts';
import { decodeCsvArray } from '../../shared/io/csv-array.ts';
import { decodeJsonArray } from '../../shared/io/json-array.ts';
import { decodeNpy } from '../../shared/io/npy.ts';
import type { ArrayMediaType } from './representation.ts';

/**
 * Reads an array. `.npy` data stream; the text formats are parsed whole, within JSON_BODY_BYTES_MAX.
 *
 * @param contentLength bytes of `source`, where known
 * @throws body-too-large, json-syntax, schema, array-syntax, array-too-large, the npy codes
 */
export function decodeArray(
  type: ArrayMediaType,
  source: AsyncIterable<Uint8Array>,
  contentLength?: number,
): Promise<ArrayStream> {
  if (type === 'application/x-npy') return decodeNpy(source, { contentLength });
  return type === 'application/json' ? decodeJsonArray(source) : decodeCsvArray(source);
}
