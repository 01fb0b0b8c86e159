// What a result must be, exactly.

import assert from 'node:assert/strict';
import type { Client } from './client.ts';
import type { Matrix } from './evaluate.ts';
import type { NpyArray } from './npy.ts';

/** The result is one matrix of this shape, dtype and order, with exactly these values. */
export async function assertResult(
  client: Client,
  jobId: string,
  { rows, cols, data }: Matrix,
  { dtype = 'float64', order = 'C' }: Partial<Pick<NpyArray, 'dtype' | 'order'>> = {},
): Promise<void> {
  const { values, ...header } = await client.result(jobId);
  assert.deepEqual(header, { shape: [rows, cols], dtype, order });
  assert.deepEqual(values, data);
}

/** The result is a stack of exactly these matrices. */
export async function assertStackResult(
  client: Client,
  jobId: string,
  shape: readonly [members: number, rows: number, cols: number],
  members: readonly Matrix[],
): Promise<void> {
  const result = await client.result(jobId);
  assert.deepEqual(result.shape, shape);
  assert.deepEqual(
    result.values,
    members.flatMap(member => member.data),
  );
}
