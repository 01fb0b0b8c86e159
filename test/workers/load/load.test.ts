// Operands on their way from the store into shared memory: boxes, layouts, dtypes, and every way the bytes can be bad.

import assert from 'node:assert/strict';
import { open } from 'node:fs/promises';
import { describe, test } from 'node:test';
import type { DerivationInput } from '../../../shared/job/derivation.ts';
import { RESULT_CHUNK_BYTES } from '../../../shared/job/limits.ts';
import type { ValueSource } from '../../../shared/job/spec.ts';
import { DTYPES, type Dtype, floatArray } from '../../../shared/math/dtype.ts';
import type { Order } from '../../../shared/math/view.ts';
import { slabRequest } from '../../../workers/load/load.ts';
import type { InputSlab } from '../../../workers/plan/plan.ts';
import { elementAt, type Matrix, tabulate } from '../../support/evaluate.ts';
import { integers } from '../../support/integers.ts';
import { createRig, encodeMatrices, fileOf, type Rig, TENANT, upload } from '../rig.ts';

interface Box {
  readonly rows: readonly [number, number];
  readonly cols: readonly [number, number];
  readonly members?: readonly [number, number];
}

/** The slab of a box, as a plan would have it. */
function slabFor(box: Box, order: Order): InputSlab {
  const [height, width] = [box.rows[1] - box.rows[0], box.cols[1] - box.cols[0]];
  const count = box.members === undefined ? 1 : box.members[1] - box.members[0];
  const strides =
    order === 'C'
      ? { rowStride: width, colStride: 1, memberStride: height * width }
      : { rowStride: count, colStride: count * height, memberStride: 1 };
  return { name: 'A', role: 'operand', ...box, ...strides, elements: count * height * width };
}

/** Loads a box and answers its elements, member by member, row by row. */
async function load(
  rig: Rig,
  source: ValueSource | undefined,
  shape: Matrix,
  box: Box,
  dtype: Dtype,
  members?: number,
  isMagnitude = false,
) {
  const input: DerivationInput = {
    name: 'A',
    role: 'operand',
    isMagnitude,
    shape: { rows: shape.rows, cols: shape.cols },
    ...(members !== undefined && { members }),
    ...(source && { source }),
  };
  const slab = slabFor(box, source?.order ?? 'C');
  const request = slabRequest(rig.deps, { tenant: TENANT, seed: 7 }, slab, input, dtype);
  const { slabs, release } = await rig.deps.cache.acquire(64, [request]);
  const [slot] = slabs;
  assert.ok(slot !== undefined);
  const data = floatArray(dtype, rig.deps.memory.buffer, slot.byteOffset, slab.elements);
  const out: number[] = [];
  const [first, last] = box.members ?? [0, 1];
  for (let s = 0; s < last - first; s++)
    for (let i = 0; i < box.rows[1] - box.rows[0]; i++)
      for (let j = 0; j < box.cols[1] - box.cols[0]; j++)
        out.push(data[s * slab.memberStride + i * slab.rowStride + j * slab.colStride]!);
  release();
  return out;
}

function elementsOf(m: Matrix, { rows, cols }: Box): number[] {
  const out: number[] = [];
  for (let i = rows[0]; i < rows[1]; i++)
    for (let j = cols[0]; j < cols[1]; j++) out.push(elementAt(m, i, j));
  return out;
}

/** Flips one bit of a stored object's data. */
async function damage(rig: Rig, name: string, position: number): Promise<void> {
  const file = await open(await fileOf(rig, name), 'r+');
  const byte = Buffer.alloc(1);
  await file.read(byte, 0, 1, position);
  byte[0]! ^= 1;
  await file.write(byte, 0, 1, position);
  await file.close();
}

const WHOLE: Box = { rows: [0, 13], cols: [0, 9] };
const BOXES: readonly Box[] = [
  WHOLE,
  { rows: [3, 8], cols: [0, 9] },
  { rows: [0, 13], cols: [2, 5] },
  { rows: [12, 13], cols: [8, 9] },
  { rows: [4, 4], cols: [0, 9] },
];

describe('loading', () => {
  test('boxes of matrices in both orders, in every pair of dtypes', async t => {
    const rig = await createRig(t);
    const matrix = integers(13, 9, 1);
    for (const order of ['C', 'F'] as const) {
      for (const stored of ['float64', 'float32'] as const) {
        const { source } = await upload(rig, matrix, { dtype: stored, order });
        for (const dtype of ['float64', 'float32'] as const)
          for (const box of BOXES)
            assert.deepEqual(await load(rig, source, matrix, box, dtype), elementsOf(matrix, box));
      }
    }
  });

  test('members of a stack in both orders', async t => {
    const rig = await createRig(t);
    const stack = [1, 2, 3, 4].map(seed => integers(13, 9, seed));
    for (const order of ['C', 'F'] as const) {
      const { source } = await upload(rig, stack, { order });
      for (const members of [
        [0, 4],
        [1, 3],
        [2, 2],
      ] as const) {
        for (const box of BOXES) {
          const wanted = stack.slice(...members).flatMap(member => elementsOf(member, box));
          assert.deepEqual(await load(rig, source, stack[0]!, { ...box, members }, 'float64', 4), wanted);
        }
      }
    }
  });

  test('magnitudes, beside the values themselves', async t => {
    const rig = await createRig(t);
    const matrix = integers(13, 9, 5);
    const magnitudes = { ...matrix, data: matrix.data.map(Math.abs) };
    const inline = Buffer.from(encodeMatrices([matrix], 'float64', 'C')).toString('base64');
    for (const source of [
      (await upload(rig, matrix)).source!,
      (await upload(rig, matrix, { dtype: 'float32', order: 'F' })).source!,
      { inline, dtype: 'float64', order: 'C' } as const,
    ]) {
      for (const box of BOXES) {
        const loaded = (isMagnitude: boolean) =>
          load(rig, source, matrix, box, 'float64', undefined, isMagnitude);
        assert.deepEqual(await loaded(true), elementsOf(magnitudes, box));
        assert.deepEqual(await loaded(false), elementsOf(matrix, box));
        assert.deepEqual(await loaded(true), elementsOf(magnitudes, box), 'from the cache');
      }
    }
  });

  test('inline values, boxes of them too, in every pair of dtypes', async t => {
    const rig = await createRig(t);
    const matrix = integers(13, 9, 2);
    for (const order of ['C', 'F'] as const) {
      for (const stored of ['float64', 'float32'] as const) {
        const inline = Buffer.from(encodeMatrices([matrix], stored, order)).toString('base64');
        for (const dtype of ['float64', 'float32'] as const)
          for (const box of BOXES)
            assert.deepEqual(
              await load(rig, { inline, dtype: stored, order }, matrix, box, dtype),
              elementsOf(matrix, box),
            );
      }
    }
    assert.equal(rig.usedBytes(), 0, 'inline values are not cached');
  });

  test('rounds to nearest, ties to even, and keeps NaN, infinities, −0 and subnormals', async t => {
    const rig = await createRig(t);
    const specials = [
      Number.NaN,
      Number.POSITIVE_INFINITY,
      -0,
      2 ** -1074,
      2 ** -149,
      1 / 3,
      1 + 2 ** -24,
      1e300,
    ];
    const matrix = { rows: 1, cols: 8, data: specials };
    const { source } = await upload(rig, matrix);
    const box: Box = { rows: [0, 1], cols: [0, 8] };
    assert.deepEqual(await load(rig, source, matrix, box, 'float64'), specials);
    assert.deepEqual(await load(rig, source, matrix, box, 'float32'), specials.map(Math.fround));
    const { source: narrow } = await upload(rig, matrix, { dtype: 'float32' });
    assert.deepEqual(await load(rig, narrow, matrix, box, 'float64'), specials.map(Math.fround));
  });

  test('the same box is read once, another box or dtype again', async t => {
    const rig = await createRig(t);
    const matrix = integers(13, 9, 3);
    const { source } = await upload(rig, matrix);
    const misses = () => rig.counter('frechet_array_cache_requests_total', { result: 'miss' });
    await load(rig, source, matrix, WHOLE, 'float64');
    await load(rig, source, matrix, WHOLE, 'float64');
    assert.equal(await misses(), 1);
    await load(rig, source, matrix, WHOLE, 'float32');
    await load(rig, source, matrix, BOXES[1]!, 'float64');
    assert.equal(await misses(), 3);
  });

  test('values without a source are drawn from the seed, direction and cotangent differently', async t => {
    const rig = await createRig(t);
    const request = async (role: 'direction' | 'cotangent', seed: number) => {
      const slab = { ...slabFor(WHOLE, 'C'), role };
      const input: DerivationInput = {
        name: 'H',
        role,
        isMagnitude: false,
        shape: { rows: 13, cols: 9 },
      };
      const { slabs, release } = await rig.deps.cache.acquire(64, [
        slabRequest(rig.deps, { tenant: TENANT, seed }, slab, input, 'float64'),
      ]);
      const values = new Float64Array(rig.deps.memory.buffer, slabs[0]!.byteOffset, 117).slice();
      release();
      return values.join();
    };
    assert.equal(await request('direction', 1), await request('direction', 1));
    const all = [await request('direction', 1), await request('cotangent', 1), await request('direction', 2)];
    assert.equal(new Set(all).size, 3);
  });

  test('an array that was deleted is lost, and leaves no memory behind', async t => {
    const rig = await createRig(t);
    const matrix = integers(13, 9, 4);
    const { source } = await upload(rig, matrix);
    assert.ok(source !== undefined && 'array' in source);
    await rig.deps.arrays.delete(TENANT, source.array);
    await assert.rejects(load(rig, source, matrix, WHOLE, 'float64'), { code: 'operand-lost' });
    assert.equal(rig.usedBytes(), 0);
  });

  test('damaged data are found: in what is read whole, and in every part that is read', async t => {
    const rig = await createRig(t);
    // Three chunks, of 16-element rows.
    const rows = (2.5 * RESULT_CHUNK_BYTES) / (16 * DTYPES.float64.bytes);
    const matrix = tabulate(rows, 16, (i, j) => (i * 31 + j) % 1009);
    const { source } = await upload(rig, matrix);
    assert.ok(source !== undefined && 'array' in source);
    await damage(rig, source.array, RESULT_CHUNK_BYTES + 12_345);
    const corrupt = { code: 'operand-corrupt' };
    const all: Box = { rows: [0, rows], cols: [0, 16] };
    await assert.rejects(load(rig, source, matrix, all, 'float64'), corrupt);
    const perChunk = RESULT_CHUNK_BYTES / (16 * 8);
    const touching: Box = { rows: [perChunk - 1, perChunk + 1], cols: [0, 16] };
    await assert.rejects(load(rig, source, matrix, touching, 'float64'), corrupt);
    await assert.rejects(load(rig, source, matrix, { rows: [0, rows], cols: [3, 4] }, 'float64'), corrupt);
    const apart: Box = { rows: [10, 20], cols: [0, 16] };
    assert.deepEqual(await load(rig, source, matrix, apart, 'float64'), elementsOf(matrix, apart));
    const behind: Box = { rows: [2 * perChunk, 2 * perChunk + 5], cols: [1, 3] };
    assert.deepEqual(await load(rig, source, matrix, behind, 'float64'), elementsOf(matrix, behind));
    await upload(rig, matrix);
    assert.deepEqual(
      await load(rig, source, matrix, touching, 'float64'),
      elementsOf(matrix, touching),
      'healed',
    );
  });
});
