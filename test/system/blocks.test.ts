// Results of many blocks: cut, computed, listed, watched and read as one array.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, test } from 'node:test';
import type { BlockDocument } from '../../api/jobs/block-document.ts';
import type { ProgressDocument } from '../../api/jobs/job-document.ts';
import { type Client, createClient, type JobDocument } from '../support/client.ts';
import { elementAt, type Matrix } from '../support/evaluate.ts';
import { readEvents, type StreamEvent } from '../support/event-stream.ts';
import { integers } from '../support/integers.ts';
import { matrixNpy, stackNpy } from '../support/npy.ts';
import { type Stack, startStack } from '../support/processes.ts';

let stack: Stack;
let client: Client;
before(async () => {
  stack = await startStack({ env: { FRECHET_THREADS: '1', FRECHET_MEMORY_BYTES: '1GiB' } });
  client = createClient(stack.url);
});
after(() => stack.stop());

async function listBlocks(jobId: string): Promise<BlockDocument[]> {
  const response = await client.get(`/v1/jobs/${jobId}/result/blocks`);
  assert.equal(response.status, 200);
  return (await response.json()) as BlockDocument[];
}

async function fetchBytes(path: string, headers: Record<string, string> = {}): Promise<Buffer> {
  const response = await client.get(path, headers);
  assert.ok(response.ok, `${path} answered ${response.status}`);
  return Buffer.from(await response.arrayBuffer());
}

/** The data of a .npy, without its header. */
function dataOf(npy: Buffer): Buffer {
  return npy.subarray(10 + npy.readUInt16LE(8));
}

function sha256(...pieces: readonly (Uint8Array | string)[]): string {
  const hash = createHash('sha256');
  for (const piece of pieces) hash.update(piece);
  return hash.digest('hex');
}

/** Blocks follow each other without a gap, from the first line to the last. */
function assertTiling(
  blocks: readonly BlockDocument[],
  of: 'rows' | 'columns' | 'members',
  total: number,
): void {
  let next = 0;
  for (const [position, block] of blocks.entries()) {
    assert.equal(block.index, position);
    const [start, stop] = block[of] ?? [Number.NaN, Number.NaN];
    assert.equal(start, next);
    assert.ok(stop > start);
    next = stop;
  }
  assert.equal(next, total);
}

/** What holds of every result: digests of blocks and of the whole, and any range across their borders. */
async function assertConsistent(job: JobDocument, blocks: readonly BlockDocument[]): Promise<Buffer> {
  const whole = await fetchBytes(`/v1/jobs/${job.id}/result`);
  assert.equal(whole.length, job.result?.bytes);
  const data = dataOf(whole);
  assert.equal(job.result?.digest, sha256(...blocks.map(block => Buffer.from(block.sha256, 'hex'))));
  const headerBytes = whole.length - data.length;
  let at = 0;
  for (const block of blocks) {
    const piece = data.subarray(at, at + block.bytes);
    assert.equal(sha256(piece), block.sha256);
    const alone = dataOf(await fetchBytes(block.href));
    assert.ok(alone.equals(piece), `block ${block.index} alone is its piece of the whole`);
    at += block.bytes;
    const border = headerBytes + at;
    const stop = Math.min(border + 1000, whole.length);
    const range = await fetchBytes(`/v1/jobs/${job.id}/result`, {
      Range: `bytes=${border - 1000}-${stop - 1}`,
    });
    assert.ok(range.equals(whole.subarray(border - 1000, stop)), `bytes around ${border}`);
  }
  assert.equal(at, data.length);
  return data;
}

const float64s = (data: Buffer) =>
  new Float64Array(data.buffer.slice(data.byteOffset, data.byteOffset + data.length));

test('a large product: blocks appear one by one, events tell of each, and every element is exact', async () => {
  const [side, inner] = [4_700, 3];
  const [a, h] = [integers(side, inner, 1), integers(inner, side, 2)];
  const A = await client.upload(matrixNpy(a));
  const direction = await client.upload(matrixNpy(h));
  const submitted = await client.submit({ operation: 'jvp', operands: { A }, direction });
  const events: StreamEvent[] = [];
  const listed: number[] = [];
  for await (const event of readEvents(`${client.url}/v1/jobs/${submitted.id}/events`)) {
    events.push(event);
    listed.push((await listBlocks(submitted.id)).length);
  }
  const job = await client.read(submitted.id);
  const blocks = await listBlocks(job.id);
  assert.ok(blocks.length >= 3, `${blocks.length} blocks`);
  assertTiling(blocks, 'rows', side);
  assertEvents(events, job, blocks.length);
  assert.deepEqual(
    listed,
    listed.toSorted((x, y) => x - y),
    'finished blocks stay finished',
  );
  assert.equal(job.progress.blocksDone, blocks.length);
  assert.equal(job.progress.flopsDone, 2 * side * side * inner);
  const values = float64s(await assertConsistent(job, blocks));
  assert.equal(firstWrong(values, a, h), -1);
});

/** A `state` event first and last, each block once, and progress that never goes back. */
function assertEvents(events: readonly StreamEvent[], job: JobDocument, blocksTotal: number): void {
  const states = events.filter(({ event }) => event === 'state').map(({ data }) => data as JobDocument);
  assert.equal(events[0]?.event, 'state');
  assert.equal(events.at(-1)?.event, 'state');
  assert.deepEqual(states.at(-1), job);
  const order = ['queued', 'running', 'succeeded'];
  const ranks = states.map(({ state }) => order.indexOf(state));
  assert.deepEqual(ranks, ranks.toSorted());
  const told = events
    .filter(({ event }) => event === 'block')
    .map(({ data }) => (data as BlockDocument).index);
  assert.deepEqual(
    told.toSorted((x, y) => x - y),
    Array.from({ length: blocksTotal }, (_, index) => index),
  );
  const progress = events
    .filter(({ event }) => event === 'progress')
    .map(({ data }) => data as ProgressDocument);
  const done = progress.map(({ flopsDone }) => Number(flopsDone));
  assert.deepEqual(
    done,
    done.toSorted((x, y) => x - y),
  );
  assert.ok(progress.every(({ blocksTotal: total }) => total === blocksTotal));
}

/** Index of the first element that is not that of A·H; −1 where all are right. */
function firstWrong(values: Float64Array, a: Matrix, h: Matrix): number {
  for (let i = 0, at = 0; i < a.rows; i += 1) {
    const [x = 0, y = 0, z = 0] = a.data.slice(i * 3, i * 3 + 3);
    for (let j = 0; j < h.cols; j += 1, at += 1) {
      const expected =
        x * (h.data[j] ?? 0) + y * (h.data[h.cols + j] ?? 0) + z * (h.data[2 * h.cols + j] ?? 0);
      if (values[at] !== expected) return at;
    }
  }
  return values.length === a.rows * h.cols ? -1 : values.length;
}

test('a large stack is cut between members', async () => {
  const [members, rows, cols] = [36, 640, 512];
  const a = integers(rows, 1, 3);
  const directions = Array.from({ length: members }, (_, seed) => integers(1, cols, 10 + seed));
  const A = await client.upload(matrixNpy(a));
  const direction = await client.upload(stackNpy(directions));
  const job = await client.compute({ operation: 'jvp', operands: { A, W: { shape: [1, cols] } }, direction });
  const blocks = await listBlocks(job.id);
  assert.ok(blocks.length >= 2);
  assertTiling(blocks, 'members', members);
  const values = float64s(await assertConsistent(job, blocks));
  const wrong = values.findIndex((value, at) => {
    const [member, row] = [Math.floor(at / (rows * cols)), Math.floor(at / cols) % rows];
    return value !== (a.data[row] ?? 0) * (directions[member]?.data[at % cols] ?? 0);
  });
  assert.equal(wrong, -1);
});

test('a large Jacobian is cut between columns, and its zeros are zeros', async () => {
  const [m, n, p] = [50, 60, 64];
  const a = integers(m, n, 4);
  const A = await client.upload(matrixNpy(a));
  const job = await client.compute({ operation: 'jacobian', operands: { A, W: { shape: [n, p] } } });
  const blocks = await listBlocks(job.id);
  assert.ok(blocks.length >= 2);
  assertTiling(blocks, 'columns', n * p);
  const values = float64s(await assertConsistent(job, blocks));
  const wrong = values.findIndex((value, at) => {
    const [row, column] = [at % (m * p), Math.floor(at / (m * p))];
    const onDiagonal = Math.floor(row / m) === Math.floor(column / n);
    return value !== (onDiagonal ? elementAt(a, row % m, column % n) : 0);
  });
  assert.equal(wrong, -1);
  const columns = [100, 103];
  const range = { operation: 'jacobian', operands: { A, W: { shape: [n, p] } }, jacobian: { columns } };
  const [block] = await listBlocks((await client.compute(range)).id);
  assert.deepEqual(block?.columns, columns, 'columns count from the first of the whole Jacobian');
});
