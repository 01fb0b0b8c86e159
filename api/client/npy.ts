// NumPy's `.npy` as far as a client needs it: float64 and float32, little-endian, rank 0 to 3, which is all that the
// service ever sends. Files of other kinds go up as they are, and the service converts them. Written byte for byte
// as NumPy 2 and the service do.

import { DTYPES, type Dtype, floatArray } from '../../shared/math/dtype.ts';
import type { NdArray } from './array.ts';
import { localProblem } from './problem.ts';

const MAGIC = '\x93NUMPY';
const PREFIX_BYTES = 10;
/** What NumPy pads headers of up to three sides to. */
const HEADER_BYTES = 128;
const HEADER_BYTES_MAX = 10_000;
const HEADER = /^\{'descr': '(<f[48])', 'fortran_order': (True|False), 'shape': \(([0-9, ]*)\),? ?\}[ \n]*$/;

export type NpyHeader = Omit<NdArray, 'data'> & {
  /** Where the data begin. */
  readonly byteLength: number;
};

/** A whole `.npy` file. Copies the data. */
export function encodeNpy({ shape, dtype, order, data }: NdArray): Uint8Array<ArrayBuffer> {
  const sides = shape.length === 1 ? `${shape[0]},` : shape.join(', ');
  const fortran = order === 'F' ? 'True' : 'False';
  const literal = `{'descr': '${DTYPES[dtype].descr}', 'fortran_order': ${fortran}, 'shape': (${sides}), }`;
  const file = new Uint8Array(HEADER_BYTES + data.byteLength);
  const header = `${MAGIC}\x01\x00${String.fromCharCode(HEADER_BYTES - PREFIX_BYTES, 0)}${literal}`;
  file.set(Uint8Array.from(`${header.padEnd(HEADER_BYTES - 1)}\n`, character => character.charCodeAt(0)));
  file.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), HEADER_BYTES);
  return file;
}

/**
 * The header at the beginning of a file, or undefined where it is none that a client reads: another dtype, another
 * writer's spacing, or no `.npy` at all.
 */
export function readNpyHeader(start: Uint8Array): NpyHeader | undefined {
  if (start.length < PREFIX_BYTES + 2 || text(start, 0, MAGIC.length) !== MAGIC) return undefined;
  const view = new DataView(start.buffer, start.byteOffset, start.byteLength);
  const isShort = start[MAGIC.length] === 1;
  const headerStart = isShort ? PREFIX_BYTES : PREFIX_BYTES + 2;
  const length = isShort ? view.getUint16(8, true) : view.getUint32(8, true);
  if (length > HEADER_BYTES_MAX || headerStart + length > start.length) return undefined;
  const match = HEADER.exec(text(start, headerStart, headerStart + length));
  if (match === null) return undefined;
  const shape = (match[3] ?? '').split(',').flatMap(side => (side.trim() === '' ? [] : [Number(side)]));
  const dtype: Dtype = match[1] === '<f8' ? 'float64' : 'float32';
  const order = match[2] === 'True' && shape.length > 1 ? 'F' : 'C';
  return { shape, dtype, order, byteLength: headerStart + length };
}

function text(bytes: Uint8Array, start: number, stop: number): string {
  return String.fromCharCode(...bytes.subarray(start, stop));
}

/**
 * The array in a `.npy` file; a view of its bytes where they are aligned, as those from the service are.
 *
 * @throws npy-header-syntax, npy-truncated, npy-trailing-data
 */
export function decodeNpy(file: Uint8Array): NdArray {
  const header = readNpyHeader(file);
  if (header === undefined) {
    throw localProblem('npy-header-syntax', 'this is not a .npy file of little-endian float64 or float32');
  }
  const { shape, dtype, order, byteLength } = header;
  const count = shape.reduce((product, side) => product * side, 1);
  const dataBytes = count * DTYPES[dtype].bytes;
  const rest = file.byteLength - byteLength;
  if (rest !== dataBytes) {
    const code = rest < dataBytes ? 'npy-truncated' : 'npy-trailing-data';
    throw localProblem(code, `the header promises ${dataBytes} bytes of data, and there are ${rest}`);
  }
  const isAligned = (file.byteOffset + byteLength) % DTYPES[dtype].bytes === 0;
  const data = isAligned ? file.subarray(byteLength) : file.slice(byteLength);
  return { shape, dtype, order, data: floatArray(dtype, data.buffer, data.byteOffset, count) };
}
