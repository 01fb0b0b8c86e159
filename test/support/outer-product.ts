// A job of several blocks that the reference kernel takes a while for, with a result that is checked without computing
// it again: every element of A·H with A of ones and H of columns 1, 2, 3 … is known.

import assert from 'node:assert/strict';
import type { Client } from './client.ts';
import { encodeNpy } from './npy.ts';

const SIDE = 5_700;
const INNER = 40;
/** The 64 MiB of a block hold fewer than a quarter of the rows. */
export const OUTER_BLOCKS = 4;

/** The body of the job. Its operands are small, its result has 260 MB. */
export async function outerProductJob(client: Client): Promise<object> {
  const ones = new Array<number>(SIDE * INNER).fill(1);
  const columns = Array.from({ length: INNER * SIDE }, (_, index) => index % SIDE);
  const A = await client.upload(
    encodeNpy({ shape: [SIDE, INNER], dtype: 'float64', order: 'C', values: ones }),
  );
  const direction = await client.upload(
    encodeNpy({ shape: [INNER, SIDE], dtype: 'float64', order: 'C', values: columns }),
  );
  return { operation: 'jvp', operands: { A }, direction };
}

/** Reads the result and compares every element. */
export async function assertOuterProduct(client: Client, jobId: string): Promise<void> {
  const response = await client.get(`/v1/jobs/${jobId}/result`);
  assert.equal(response.status, 200);
  const bytes = await response.arrayBuffer();
  const header = bytes.byteLength - SIDE * SIDE * 8;
  assert.equal(header, 128);
  const values = new Float64Array(bytes.slice(header));
  assert.equal(
    values.findIndex((value, at) => value !== INNER * (at % SIDE)),
    -1,
  );
}
