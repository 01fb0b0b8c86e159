// The table of element types. Everything that differs between them is a field here, so that no other code branches on a name.

export interface DtypeEntry {
  readonly bytes: number;
  /** NumPy's array-protocol descriptor, little-endian. */
  readonly descr: '<f8' | '<f4';
  /** Unit roundoff u: half the distance from 1 to the next number (round to nearest). */
  readonly unitRoundoff: number;
  /** The smallest positive subnormal: the absolute error that underflow can add to one operation is half of it. */
  readonly smallest: number;
}

export const DTYPES = {
  float64: { bytes: 8, descr: '<f8', unitRoundoff: 2 ** -53, smallest: 2 ** -1074 },
  float32: { bytes: 4, descr: '<f4', unitRoundoff: 2 ** -24, smallest: 2 ** -149 },
} as const satisfies Record<string, DtypeEntry>;

export type Dtype = keyof typeof DTYPES;
export type FloatArray = Float64Array | Float32Array;

/** A typed array over part of a buffer; `byteOffset` must be a multiple of the element size. */
export function floatArray(
  dtype: Dtype,
  buffer: ArrayBufferLike,
  byteOffset: number,
  length: number,
): FloatArray {
  return dtype === 'float64'
    ? new Float64Array(buffer, byteOffset, length)
    : new Float32Array(buffer, byteOffset, length);
}
