// How the small jobs of a slice ended: one object for up to SLICE_LINES jobs, with their results, written once. Whoever
// writes it first ends the jobs that it names; those it does not name end by themselves, each with an outcome of its
// own. So there is always exactly one name that the ends of a job compete for: first the slice's, and where that has
// been taken without the job, the job's.
//
//   results, one after the other · footer: who ended how, and where its result begins

import { createHash } from 'node:crypto';
import { FrechetError } from '../errors.ts';
import { RESULT_CHUNK_BYTES } from '../job/limits.ts';
import type { BlockReceipt, Outcome } from '../job/outcome.ts';
import { batchIdOf, batchKey, lineIndexOf, sliceOfLine } from './batch-ids.ts';
import type { BatchOutcome } from './batch-store.ts';
import { digestChunk, encodeFooter, openSealed, type SealedFooter } from './store/sealed.ts';
import type { Store } from './store/store.ts';

/** A job that ends with its slice. */
export interface EndedJob {
  readonly jobId: string;
  readonly outcome: Outcome;
  /** Of a job that succeeded: its only block, and what it costs in flops (a decimal string). */
  readonly block?: { readonly data: Uint8Array; readonly flops: string };
}

interface EndedLine {
  /** Index of its record. */
  readonly line: number;
  readonly outcome: Outcome;
  readonly start: number;
  readonly flops: string;
}

export interface SliceFooter extends SealedFooter {
  readonly version: 1;
  readonly ended: readonly EndedLine[];
  /** Of a batch that ends with this slice. */
  readonly batch: BatchOutcome | null;
}

/** A result as it lies in its slice. */
export interface SliceBlock {
  readonly receipt: BlockReceipt;
  readonly data: Uint8Array;
}

/** Slices are small and never change: those that somebody is just asking for are remembered. */
const REMEMBERED_MAX = 64;
const NAME = /^slice-(\d+)$/;

export class SliceStore {
  readonly #store: Store;
  /** By key; insertion order is recency. */
  readonly #remembered = new Map<string, SliceFooter>();

  constructor(store: Store) {
    this.#store = store;
  }

  /** Ends jobs of one slice. False where somebody else has written the slice, and then nothing changes. */
  async put(
    tenant: string,
    batchId: string,
    slice: number,
    jobs: readonly EndedJob[],
    batch: BatchOutcome | null,
  ): Promise<boolean> {
    const ended: EndedLine[] = [];
    const parts: Uint8Array[] = [];
    let bytes = 0;
    for (const { jobId, outcome, block } of jobs) {
      ended.push({ line: lineIndexOf(jobId), outcome, start: bytes, flops: block?.flops ?? '0' });
      if (block === undefined) continue;
      parts.push(block.data);
      bytes += block.data.byteLength;
    }
    const data = Buffer.concat(parts);
    const chunks: string[] = [];
    for (let at = 0; at < bytes; at += RESULT_CHUNK_BYTES)
      chunks.push(await digestChunk(data.subarray(at, at + RESULT_CHUNK_BYTES)));
    const footer: SliceFooter = { version: 1, bytes, chunks, ended, batch };
    const key = sliceKey(tenant, batchId, slice);
    const won = await this.#store.put(key, [data, encodeFooter(footer)], { exclusive: true });
    if (won) this.#remember(key, footer);
    return won;
  }

  /** @throws result-corrupt where it is damaged */
  async read(tenant: string, batchId: string, slice: number): Promise<SliceFooter | undefined> {
    const key = sliceKey(tenant, batchId, slice);
    const known = this.#remembered.get(key);
    if (known !== undefined) return this.#remember(key, known);
    const object = await openSealed<SliceFooter>(this.#store, key, 'result-corrupt');
    await object?.close();
    return object && this.#remember(key, object.footer);
  }

  /** As `outcomeOf`, where the slice was read lately; costs nothing. */
  remembered(tenant: string, jobId: string): Outcome | undefined {
    const line = lineIndexOf(jobId);
    const footer = this.#remembered.get(sliceKey(tenant, batchIdOf(jobId), sliceOfLine(line)));
    return footer?.ended.find(ended => ended.line === line)?.outcome;
  }

  /** How a job ended with its slice; undefined where it did not (yet), or is in none. */
  async outcomeOf(tenant: string, jobId: string): Promise<Outcome | undefined> {
    return (await this.#lineOf(tenant, jobId))?.outcome;
  }

  /** The result of a job that succeeded with its slice. @throws result-corrupt */
  async blockOf(tenant: string, jobId: string): Promise<SliceBlock | undefined> {
    const line = await this.#lineOf(tenant, jobId);
    if (line?.outcome.state !== 'succeeded') return undefined;
    const receipt = receiptOf(line.outcome, line.flops);
    const key = sliceKey(tenant, batchIdOf(jobId), sliceOfLine(lineIndexOf(jobId)));
    const object = await openSealed<SliceFooter>(this.#store, key, 'result-corrupt');
    if (object === undefined) return undefined;
    try {
      const data = new Uint8Array(receipt.bytes);
      const bytesRead = await object.read(data, line.start);
      const sha256 = createHash('sha256').update(data).digest('hex');
      if (bytesRead === receipt.bytes && sha256 === receipt.sha256) return { receipt, data };
      throw new FrechetError('result-corrupt', 'Stored data are damaged: a result in a slice.');
    } finally {
      await object.close();
    }
  }

  /**
   * Takes a job out of its slice, so that it may end by itself; so does every other job of a slice that nobody has
   * written. False where the job has ended with its slice.
   */
  async release(tenant: string, jobId: string): Promise<boolean> {
    const [batchId, slice] = [batchIdOf(jobId), sliceOfLine(lineIndexOf(jobId))];
    if (await this.put(tenant, batchId, slice, [], null)) return true;
    return (await this.outcomeOf(tenant, jobId)) === undefined;
  }

  /** The slices of a batch that are written. */
  async list(tenant: string, batchId: string): Promise<number[]> {
    const names = await this.#store.list(batchKey(tenant, batchId));
    return names.flatMap(name => Number(NAME.exec(name)?.[1] ?? Number.NaN)).filter(slice => slice >= 0);
  }

  async #lineOf(tenant: string, jobId: string): Promise<EndedLine | undefined> {
    const line = lineIndexOf(jobId);
    if (line === 0) return undefined;
    const footer = await this.read(tenant, batchIdOf(jobId), sliceOfLine(line));
    return footer?.ended.find(ended => ended.line === line);
  }

  #remember(key: string, footer: SliceFooter): SliceFooter {
    this.#remembered.delete(key);
    this.#remembered.set(key, footer);
    if (this.#remembered.size > REMEMBERED_MAX)
      this.#remembered.delete(this.#remembered.keys().next().value!); // it is not empty
    return footer;
  }
}

/** What a block of its own would have said of itself. */
function receiptOf(outcome: Extract<Outcome, { state: 'succeeded' }>, flops: string): BlockReceipt {
  const { manifest, verification, errorBound, kernel, seconds, startedAt, finishedAt } = outcome;
  const [block] = manifest.blocks;
  if (block === undefined) throw new FrechetError('result-corrupt', 'Stored data are damaged: no block.');
  const { queue: _, ...phases } = seconds;
  return {
    ...block,
    index: 0,
    chunks: block.bytes === 0 ? [] : [block.sha256],
    verification,
    errorBound,
    kernel,
    seconds: phases,
    flops,
    startedAt: startedAt ?? finishedAt,
    finishedAt,
  };
}

function sliceKey(tenant: string, batchId: string, slice: number): string {
  return `${batchKey(tenant, batchId)}/slice-${slice}`;
}
