// What becomes of the element types a .npy file may hold. One table: item size, resulting dtype, and how a whole
// number of items turns into little-endian float64 or float32. Hosts are little-endian, as WebAssembly is.

import { FrechetError } from '../errors.ts';
import type { Dtype } from '../math/dtype.ts';

export interface NpyConversion {
  readonly itemBytes: number;
  readonly dtype: Dtype;
  /** From whole items to data; the source is left alone. Absent where the bytes are data already. */
  readonly convert?: (source: Uint8Array) => Uint8Array;
}

/** The table, by array-protocol string. Byte order means nothing for one-byte items. */
const CONVERSIONS: ReadonlyMap<string, NpyConversion> = new Map<string, NpyConversion>([
  ['<f8', { itemBytes: 8, dtype: 'float64' }],
  ['<f4', { itemBytes: 4, dtype: 'float32' }],
  ['>f8', { itemBytes: 8, dtype: 'float64', convert: source => copy(source).swap64() }],
  ['>f4', { itemBytes: 4, dtype: 'float32', convert: source => copy(source).swap32() }],
  ...bothOrders('f2', 2, 'float32', bytes => widenHalves(new Uint16Array(bytes))),
  ...bothOrders('i2', 2, 'float64', bytes => new Float64Array(new Int16Array(bytes))),
  ...bothOrders('u2', 2, 'float64', bytes => new Float64Array(new Uint16Array(bytes))),
  ...bothOrders('i4', 4, 'float64', bytes => new Float64Array(new Int32Array(bytes))),
  ...bothOrders('u4', 4, 'float64', bytes => new Float64Array(new Uint32Array(bytes))),
  ...bothOrders('i8', 8, 'float64', bytes => widenLongs(new Uint32Array(bytes), new Int32Array(bytes))),
  ...bothOrders('u8', 8, 'float64', bytes => widenLongs(new Uint32Array(bytes), new Uint32Array(bytes))),
  ...oneByte('i1', bytes => new Float64Array(new Int8Array(bytes))),
  ...oneByte('u1', bytes => new Float64Array(new Uint8Array(bytes))),
  ...oneByte('b1', bytes => new Float64Array(new Uint8Array(bytes).map(byte => (byte === 0 ? 0 : 1)))),
]);

/** How to convert a dtype; undefined means structured. @throws npy-dtype-unsupported */
export function npyConversion(descr: string | undefined): NpyConversion {
  const conversion = descr === undefined ? undefined : CONVERSIONS.get(descr);
  if (conversion !== undefined) return conversion;
  throw new FrechetError(
    'npy-dtype-unsupported',
    'The dtype must be float64, float32, float16, bool or an integer of at most 8 bytes; convert it with astype.',
  );
}

type Widen = (bytes: ArrayBuffer) => Float64Array | Float32Array | Uint32Array;

function bothOrders(
  name: string,
  itemBytes: 2 | 4 | 8,
  dtype: Dtype,
  widen: Widen,
): [string, NpyConversion][] {
  const entry = (read: (source: Uint8Array) => Buffer): NpyConversion => ({
    itemBytes,
    dtype,
    convert: source => bytesOf(widen(aligned(read(source)))),
  });
  const swap = { 2: 'swap16', 4: 'swap32', 8: 'swap64' } as const;
  return [
    [`<${name}`, entry(copy)],
    [`>${name}`, entry(source => copy(source)[swap[itemBytes]]())],
  ];
}

function oneByte(name: string, widen: Widen): [string, NpyConversion][] {
  const convert = (source: Uint8Array) => bytesOf(widen(aligned(copy(source))));
  return ['|', '<', '>'].map(mark => [`${mark}${name}`, { itemBytes: 1, dtype: 'float64', convert }]);
}

/** A copy in memory of its own, so that it is aligned and may be swapped in place. */
function copy(source: Uint8Array): Buffer {
  const bytes = Buffer.from(new ArrayBuffer(source.byteLength));
  bytes.set(source);
  return bytes;
}

function aligned(bytes: Buffer): ArrayBuffer {
  return bytes.buffer as ArrayBuffer; // `copy` made it, whole
}

function bytesOf(values: Float64Array | Float32Array | Uint32Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

/** binary16 → binary32, on the bits, so that NaN payloads survive. */
function widenHalves(halves: Uint16Array): Uint32Array {
  const words = new Uint32Array(halves.length);
  for (let i = 0; i < halves.length; i += 1) {
    const half = halves[i]!;
    const sign = (half & 0x8000) << 16;
    const exponent = (half >> 10) & 0x1f;
    const fraction = half & 0x3ff;
    if (exponent === 0x1f) words[i] = sign | 0x7f800000 | (fraction << 13);
    else if (exponent > 0) words[i] = sign | ((exponent + 112) << 23) | (fraction << 13);
    else words[i] = sign | widenSubnormal(fraction);
  }
  return words;
}

/** fraction·2^-24: normal in binary32. Its leading one, at bit 31 − clz, becomes implicit. */
function widenSubnormal(fraction: number): number {
  if (fraction === 0) return 0;
  const leading = 31 - Math.clz32(fraction);
  return ((leading - 24 + 127) << 23) | ((fraction << (23 - leading)) & 0x7fffff);
}

/** 64-bit integers of magnitude at most 2^53; `high` sees the same words with the signedness of the type. */
function widenLongs(words: Uint32Array, high: Int32Array | Uint32Array): Float64Array {
  const values = new Float64Array(words.length / 2);
  for (let i = 0; i < values.length; i += 1) {
    const low = words[2 * i]!;
    const top = high[2 * i + 1]!;
    // −2^53 ≤ top·2^32 + low ≤ 2^53
    if (top < -(2 ** 21) || top > 2 ** 21 || (top === 2 ** 21 && low > 0)) {
      throw new FrechetError('npy-lossy-cast', 'An integer lies beyond 2^53 and is not exact as float64.');
    }
    values[i] = top * 2 ** 32 + low;
  }
  return values;
}
