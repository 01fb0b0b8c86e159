// Damage at rest: bits of stored blocks, and blocks that stand in each other's place.

import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ulid } from 'ulid';
import { errorCode } from '../../shared/errors.ts';
import { JobStore, type OpenBlock } from '../../shared/io/job-store.ts';
import { openFileStore } from '../../shared/io/store/file-store.ts';
import type { BlockReceipt } from '../../shared/job/outcome.ts';
import { seededRandom } from '../workers/kernels/fixture.ts';
import { below } from './blocks.ts';

const TENANT = 'default';
const BLOCK_BYTES = 3000;

/** @returns how many of `flips` single-bit flips in stored blocks were read as if nothing had happened */
export async function countUnnoticedFlips(flips: number, seed: number): Promise<number> {
  const random = seededRandom(seed);
  return withBlocks(async ({ paths, isServed }) => {
    const [path] = paths as [string];
    const whole = await readFile(path);
    let unnoticed = 0;
    for (let flip = 0; flip < flips; flip++) {
      const damaged = Buffer.from(whole);
      damaged[below(whole.byteLength, random)]! ^= 1 << below(8, random);
      await writeFile(path, damaged);
      if (await isServed(0)) unnoticed += 1;
    }
    return unnoticed;
  });
}

/** @returns whether one of two blocks of a job is served after they have changed places */
export async function servesSwappedBlocks(): Promise<boolean> {
  return withBlocks(async ({ paths, isServed }) => {
    const [first, second] = await Promise.all(paths.map(path => readFile(path)));
    await writeFile(paths[0]!, second!);
    await writeFile(paths[1]!, first!);
    return (await isServed(0)) || (await isServed(1));
  });
}

interface StoredBlocks {
  readonly paths: readonly string[];
  /** Whether a block's data come out of the store as this index's. */
  isServed(index: number): Promise<boolean>;
}

/** Two blocks of one job, in a store of their own. */
async function withBlocks<T>(use: (blocks: StoredBlocks) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'frechet-faults-'));
  try {
    const jobs = new JobStore(await openFileStore(folder));
    const id = ulid();
    const receipts = [0, 1].map(index => receiptOf(index));
    for (const [index, receipt] of receipts.entries())
      await jobs.putBlock(TENANT, id, [dataOf(index)], receipt);
    const isServed = async (index: number) => {
      try {
        const block = await jobs.openBlock(TENANT, id, index);
        return block !== undefined && (await isWhole(block, receipts[index]!));
      } catch (error) {
        if (errorCode(error) === 'result-corrupt') return false;
        throw error;
      }
    };
    const files = await readdir(folder, { recursive: true });
    const paths = [0, 1].map(index => join(folder, files.find(file => file.endsWith(`blocks/${index}`))!));
    return await use({ paths, isServed });
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** Reads a block as the gateway does: the manifest says which digest it has, the footer which each chunk has. */
async function isWhole(block: OpenBlock, { sha256 }: BlockReceipt): Promise<boolean> {
  try {
    if (block.footer.sha256 !== sha256) return false;
    let bytes = 0;
    for await (const piece of block.readVerified(0, block.footer.bytes)) bytes += piece.byteLength;
    return bytes === block.footer.bytes;
  } finally {
    await block.close();
  }
}

function dataOf(index: number): Uint8Array {
  return createHash('shake256', { outputLength: BLOCK_BYTES }).update(`block ${index}`).digest();
}

function receiptOf(index: number): BlockReceipt {
  const sha256 = createHash('sha256').update(dataOf(index)).digest('hex');
  const at = '2026-11-23T12:00:00.000Z';
  return {
    index,
    rows: [4 * index, 4 * index + 4],
    bytes: BLOCK_BYTES,
    sha256,
    chunks: [sha256],
    verification: { method: 'freivalds', rounds: 1, seeds: [1], maxError: 0, bound: 0 },
    errorBound: null,
    kernel: 'wasm',
    seconds: { load: 0, compute: 0, verify: 0, store: 0 },
    flops: '1',
    startedAt: at,
    finishedAt: at,
  };
}
