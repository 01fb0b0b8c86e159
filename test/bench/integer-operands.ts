// Operands that are too large to be built in one piece, and whether their product is right: small integers by formula,
// so that every sum is exact.

import { request } from 'node:http';
import { Readable } from 'node:stream';
import { encodeNpyHeader } from '../../shared/io/npy.ts';

const ROWS_AT_ONCE = 64;

export interface IntegerMatrix {
  readonly rows: number;
  readonly cols: number;
  /** A small integer. */
  at(i: number, j: number): number;
}

export function integersOf(rows: number, cols: number, seed: number): IntegerMatrix {
  return { rows, cols, at: (i, j) => ((i * 7 + j * 13 + ((i * j) % 11) + seed) % 9) - 4 };
}

function headerOf(rows: number, cols: number): Uint8Array {
  return encodeNpyHeader({ shape: [rows, cols], dtype: 'float64', order: 'C' });
}

export async function* npyBytes({ rows, cols, at }: IntegerMatrix): AsyncGenerator<Uint8Array> {
  yield headerOf(rows, cols);
  for (let first = 0; first < rows; first += ROWS_AT_ONCE) {
    const count = Math.min(ROWS_AT_ONCE, rows - first);
    const piece = new Float64Array(count * cols);
    for (let i = 0; i < count; i++) for (let j = 0; j < cols; j++) piece[i * cols + j] = at(first + i, j);
    yield new Uint8Array(piece.buffer);
  }
}

export async function uploadIntegers(url: string, matrix: IntegerMatrix): Promise<string> {
  const length = headerOf(matrix.rows, matrix.cols).byteLength + matrix.rows * matrix.cols * 8;
  const answer = await new Promise<string>((resolve, reject) => {
    const headers = { 'Content-Type': 'application/x-npy', 'Content-Length': length };
    const sent = request(`${url}/v1/arrays`, { method: 'POST', headers }, response => {
      let text = '';
      response.setEncoding('utf8').on('data', piece => (text += piece));
      response.on('end', () =>
        (response.statusCode ?? 500) < 300 ? resolve(text) : reject(new Error(text)),
      );
    });
    sent.on('error', reject);
    Readable.from(npyBytes(matrix)).pipe(sent);
  });
  return (JSON.parse(answer) as { id: string }).id;
}

/** Whether C = A·H, by (C·x) against A·(H·x) for a vector of ±1, in integers. */
export async function isRight(
  url: string,
  job: string,
  a: IntegerMatrix,
  h: IntegerMatrix,
): Promise<boolean> {
  const x = Float64Array.from({ length: h.cols }, () => (Math.random() < 0.5 ? -1 : 1));
  const hx = times(h, x);
  const ahx = times(a, hx);
  const response = await fetch(`${url}/v1/jobs/${job}/result`, {
    headers: { Accept: 'application/x-npy' },
  });
  if (!response.ok || response.body === null) throw new Error(await response.text());
  let [index, sum, isSame] = [0, 0, true];
  let header = headerOf(a.rows, h.cols).byteLength;
  let rest = Buffer.alloc(0);
  for await (const piece of response.body) {
    const skipped = Math.min(header, piece.byteLength);
    header -= skipped;
    const bytes = Buffer.concat([rest, piece.subarray(skipped)]);
    const whole = bytes.byteLength - (bytes.byteLength % 8);
    for (let at = 0; at < whole; at += 8, index++) {
      const j = index % h.cols;
      sum += bytes.readDoubleLE(at) * x[j]!;
      if (j < h.cols - 1) continue;
      isSame &&= sum === ahx[(index - j) / h.cols];
      sum = 0;
    }
    rest = bytes.subarray(whole);
  }
  return isSame && index === a.rows * h.cols;
}

function times({ rows, cols, at }: IntegerMatrix, x: Float64Array): Float64Array {
  return Float64Array.from({ length: rows }, (_, i) => {
    let sum = 0;
    for (let j = 0; j < cols; j++) sum += at(i, j) * x[j]!;
    return sum;
  });
}
