// .npy files as NumPy's format description has them, written and read here a second time, so that a fault of our own
// codec cannot hide behind itself. Values are plain numbers in row-major order, whatever the order of the bytes.

import assert from 'node:assert/strict';
import type { Matrix } from './evaluate.ts';

export interface NpyArray {
  readonly shape: readonly number[];
  readonly dtype: 'float64' | 'float32';
  readonly order: 'C' | 'F';
  readonly values: readonly number[];
}

const BYTES = { float64: 8, float32: 4 } as const;
const DESCRIPTORS = { float64: '<f8', float32: '<f4' } as const;

export function encodeNpy({ shape, dtype, order, values }: NpyArray): Buffer<ArrayBuffer> {
  const dims = `(${shape.map(side => `${side},`).join(' ')})`;
  const dictionary = `{'descr': '${DESCRIPTORS[dtype]}', 'fortran_order': ${order === 'F' ? 'True' : 'False'}, 'shape': ${dims}, }`;
  const padded = `${dictionary.padEnd(Math.ceil((dictionary.length + 11) / 64) * 64 - 11)}\n`;
  const prefix = Buffer.from([
    0x93,
    0x4e,
    0x55,
    0x4d,
    0x50,
    0x59,
    1,
    0,
    padded.length & 255,
    padded.length >> 8,
  ]);
  const data = Buffer.alloc(values.length * BYTES[dtype]);
  values.forEach((value, index) => {
    const at = bytePosition(shape, order, index) * BYTES[dtype];
    if (dtype === 'float64') data.writeDoubleLE(value, at);
    else data.writeFloatLE(value, at);
  });
  return Buffer.concat([prefix, Buffer.from(padded, 'latin1'), data]);
}

export function decodeNpy(bytes: Uint8Array): NpyArray {
  const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  assert.equal(file.toString('latin1', 0, 8), '\x93NUMPY\x01\x00');
  const dataStart = 10 + file.readUInt16LE(8);
  assert.equal(dataStart % 64, 0, 'the data are aligned');
  const header = file.toString('latin1', 10, dataStart);
  const match = /^\{'descr': '<f([48])', 'fortran_order': (True|False), 'shape': \(([\d, ]*)\), \} *\n$/.exec(
    header,
  );
  assert.ok(match, header);
  const [, size, fortran, dims = ''] = match;
  const dtype = size === '8' ? 'float64' : 'float32';
  const order = fortran === 'True' ? 'F' : 'C';
  const shape = dims
    .split(',')
    .filter(text => text.trim() !== '')
    .map(Number);
  const count = shape.reduce((product, side) => product * side, 1);
  const data = file.subarray(dataStart);
  assert.equal(data.length, count * BYTES[dtype], 'as many bytes as the shape says');
  const values = Array.from({ length: count }, (_, index) => {
    const at = bytePosition(shape, order, index) * BYTES[dtype];
    return dtype === 'float64' ? data.readDoubleLE(at) : data.readFloatLE(at);
  });
  return { shape, dtype, order, values };
}

/** Where the element of row-major index `index` stands among the elements of the file. */
function bytePosition(shape: readonly number[], order: 'C' | 'F', index: number): number {
  if (order === 'C') return index;
  let position = 0;
  let rest = index;
  let stride = shape.reduce((product, side) => product * side, 1);
  for (const side of [...shape].reverse()) {
    stride /= side;
    position += (rest % side) * stride;
    rest = Math.floor(rest / side);
  }
  return position;
}

export function matrixNpy(
  { rows, cols, data }: Matrix,
  { dtype = 'float64', order = 'C' }: Partial<Pick<NpyArray, 'dtype' | 'order'>> = {},
): Buffer<ArrayBuffer> {
  return encodeNpy({ shape: [rows, cols], dtype, order, values: data });
}

/** Matrices of one shape as one array of rank 3. */
export function stackNpy(
  members: readonly Matrix[],
  dtype: NpyArray['dtype'] = 'float64',
): Buffer<ArrayBuffer> {
  const [{ rows, cols } = { rows: 0, cols: 0 }] = members;
  return encodeNpy({
    shape: [members.length, rows, cols],
    dtype,
    order: 'C',
    values: members.flatMap(member => member.data),
  });
}
