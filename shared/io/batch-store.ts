// Batches: up to a hundred thousand jobs in one durable object. A line's job has no spec of its own; its id says which
// line of which batch it is, and reading it is reading that line. Everything else about it (blocks, outcome) is as of
// any job.
//
//   one record a line (a document) · 8 bytes a line: where its record ends, whether it was rejected · ids of arrays (JSON)

import { assert } from '../assert.ts';
import { RESULT_CHUNK_BYTES, SLICE_LINES } from '../job/limits.ts';
import type { FinalState, JobProblem } from '../job/outcome.ts';
import type { JobSpec } from '../job/spec.ts';
import { batchIdOf, batchKey, lineIndexOf, lineJobId } from './batch-ids.ts';
import { SliceStore } from './slice-store.ts';
import { decodeDocument, encodeDocument } from './store/document.ts';
import { newestFirst } from './store/newest-first.ts';
import {
  digestChunk,
  encodeFooter,
  openSealed,
  type SealedFooter,
  type SealedObject,
} from './store/sealed.ts';
import type { StagedObject, Store } from './store/store.ts';

/** What is the same for all lines is not repeated: it is part of the footer, or follows from the line's number. */
export type LineSpec = Omit<JobSpec, 'id' | 'tenant' | 'createdAt'>;

interface LineRecord {
  /** Number of the line in what was sent, from 1; blank lines count. */
  readonly line: number;
  readonly customId: string | null;
}

export type BatchRecord = LineRecord &
  (
    | {
        readonly spec: LineSpec;
        readonly flops: string;
        readonly blocksTotal: number;
        readonly resultBytes: number;
      }
    | { readonly problem: JobProblem }
  );

export interface BatchFooter extends SealedFooter {
  readonly version: 1;
  readonly id: string;
  readonly tenant: string;
  readonly createdAt: string;
  /** Records, from index 1 on. */
  readonly total: number;
  readonly rejected: number;
  readonly recordBytes: number;
  /** The longest that one of its jobs is kept after its end. */
  readonly expiresIn: number;
  /** The name of the claim of its idempotency key. */
  readonly claim: string | null;
  /** True where no client asked for a batch: jobs that came at the same time were stored together. */
  readonly isGroup?: true;
}

/** How all of a batch ended. */
export interface BatchOutcome {
  readonly version: 1;
  readonly counts: Readonly<Record<FinalState | 'rejected', number>>;
  readonly finishedAt: string;
}

/** Most batches are a handful of jobs that came at the same time; a chunk's room is made where it is needed. */
const FIRST_CHUNK_BYTES = 64 * 1024;
const INDEX_ENTRY_BYTES = 8;

export function isRejected(record: BatchRecord): record is BatchRecord & { readonly problem: JobProblem } {
  return 'problem' in record;
}

export function specOfLine(
  footer: Pick<BatchFooter, 'id' | 'tenant' | 'createdAt'>,
  index: number,
  spec: LineSpec,
): JobSpec {
  const { id, tenant, createdAt } = footer;
  return { ...spec, id: lineJobId(id, index), tenant, createdAt };
}

/** Takes the records of a batch as they come; at most a chunk is held, and what is no longer goes in one put. */
export class BatchWriter {
  readonly #store: Store;
  #staged: StagedObject | undefined;
  #chunk = Buffer.alloc(FIRST_CHUNK_BYTES);
  readonly #chunks: string[] = [];
  readonly #index: Buffer[] = [];
  readonly #arrays = new Set<string>();
  #filled = 0;
  #bytes = 0;

  constructor(store: Store) {
    this.#store = store;
  }

  /** Of the records and their index. */
  get bytes(): number {
    return this.#bytes + this.#index.length * INDEX_ENTRY_BYTES;
  }

  async add(record: BatchRecord, arrays: Iterable<string>): Promise<void> {
    await this.#write(encodeDocument(record));
    for (const id of arrays) this.#arrays.add(id);
    const entry = Buffer.alloc(INDEX_ENTRY_BYTES);
    entry.writeUIntLE(this.#bytes, 0, 6);
    entry.writeUInt8(isRejected(record) ? 1 : 0, 6);
    this.#index.push(entry);
  }

  /** Nothing can be added afterwards. False where there is a batch of this id. @param marked resolves when its marker is set */
  async commit(
    about: Pick<BatchFooter, 'id' | 'tenant' | 'createdAt' | 'rejected' | 'expiresIn' | 'claim' | 'isGroup'>,
    marked?: Promise<void>,
  ): Promise<boolean> {
    const recordBytes = this.#bytes;
    await this.#write(Buffer.concat(this.#index));
    await this.#write(Buffer.from(JSON.stringify([...this.#arrays])));
    const last = this.#chunk.subarray(0, this.#filled);
    if (last.length > 0) this.#chunks.push(await digestChunk(last));
    const footer: BatchFooter = {
      version: 1,
      ...about,
      total: this.#index.length,
      recordBytes,
      bytes: this.#bytes,
      chunks: this.#chunks,
    };
    const key = `${batchKey(about.tenant, about.id)}/lines`;
    const parts = [last, encodeFooter(footer)];
    const options = { exclusive: true, ...(marked && { after: marked }) };
    if (this.#staged === undefined) return this.#store.put(key, parts, options);
    for (const part of parts) await this.#staged.write(part);
    return this.#staged.commit(key, options);
  }

  /** May be called at any time; after a commit it does nothing. */
  async discard(): Promise<void> {
    await this.#staged?.discard();
  }

  async #write(bytes: Buffer): Promise<void> {
    for (let taken = 0; taken < bytes.length; ) {
      const copied = bytes.copy(this.#chunk, this.#filled, taken);
      taken += copied;
      this.#filled += copied;
      if (this.#filled === RESULT_CHUNK_BYTES) await this.#flush();
      else if (this.#filled === this.#chunk.length) this.#grow();
    }
    this.#bytes += bytes.length;
  }

  #grow(): void {
    const larger = Buffer.alloc(Math.min(RESULT_CHUNK_BYTES, this.#chunk.length * 8));
    this.#chunk.copy(larger);
    this.#chunk = larger;
  }

  async #flush(): Promise<void> {
    this.#staged ??= await this.#store.stage();
    const [digest] = await Promise.all([digestChunk(this.#chunk), this.#staged.write(this.#chunk)]);
    this.#chunks.push(digest);
    this.#filled = 0;
  }
}

export class BatchStore {
  readonly slices: SliceStore;
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
    this.slices = new SliceStore(store);
  }

  write(): BatchWriter {
    return new BatchWriter(this.#store);
  }

  /** The caller closes it. @throws operand-corrupt where it is damaged */
  async open(tenant: string, id: string): Promise<OpenBatch | undefined> {
    if (lineIndexOf(id) !== 0) return undefined;
    const object = await openSealed<BatchFooter>(
      this.#store,
      `${batchKey(tenant, id)}/lines`,
      'operand-corrupt',
    );
    return object && new OpenBatch(object);
  }

  async footer(tenant: string, id: string): Promise<BatchFooter | undefined> {
    const batch = await this.open(tenant, id);
    await batch?.close();
    return batch?.footer;
  }

  async has(tenant: string, id: string): Promise<boolean> {
    return (await this.#store.stat(`${batchKey(tenant, id)}/lines`)) !== undefined;
  }

  /** The spec of a job that is a line of a batch, and was not rejected. */
  async readSpec(tenant: string, jobId: string): Promise<JobSpec | undefined> {
    const index = lineIndexOf(jobId);
    const batch = index === 0 ? undefined : await this.open(tenant, batchIdOf(jobId));
    if (batch === undefined) return undefined;
    try {
      if (index > batch.footer.total) return undefined;
      const record = await batch.record(index);
      return isRejected(record) ? undefined : specOfLine(batch.footer, index, record.spec);
    } finally {
      await batch.close();
    }
  }

  async putOutcome(tenant: string, id: string, outcome: BatchOutcome): Promise<void> {
    await this.#store.put(`${batchKey(tenant, id)}/outcome`, [encodeDocument(outcome)], {
      exclusive: true,
    });
  }

  /** Of a batch that is a single slice, that slice's object says how all of it ended. */
  async readOutcome(tenant: string, id: string): Promise<BatchOutcome | undefined> {
    const bytes = await this.#store.get(`${batchKey(tenant, id)}/outcome`);
    if (bytes !== undefined) return decodeDocument(bytes) as BatchOutcome;
    return (await this.slices.read(tenant, id, 0))?.batch ?? undefined;
  }

  async deleteLines(tenant: string, id: string): Promise<void> {
    await this.#store.delete(`${batchKey(tenant, id)}/lines`);
  }

  async deleteOutcome(tenant: string, id: string): Promise<void> {
    await this.#store.deletePrefix(batchKey(tenant, id));
  }

  /** Ids of a tenant's batches, newest first; those of `before` and older, where given. */
  async *ids(tenant: string, before?: string): AsyncGenerator<string> {
    yield* newestFirst(this.#store, `tenants/${tenant}/batches`, before);
  }

  /** The runs of time into which a tenant's batches are filed, oldest first. */
  async shards(tenant: string): Promise<string[]> {
    return this.#store.list(`tenants/${tenant}/batches`);
  }

  async idsIn(tenant: string, shard: string): Promise<string[]> {
    return this.#store.list(`tenants/${tenant}/batches/${shard}`);
  }

  /** Ids of the jobs of a tenant's batches, newest first, from the one just older than `before` on. */
  async *jobIds(tenant: string, before?: string): AsyncGenerator<string> {
    for await (const id of this.ids(tenant, before)) yield* this.jobIdsOf(tenant, id, before);
  }

  async *jobIdsOf(tenant: string, id: string, before?: string): AsyncGenerator<string> {
    const total = (await this.footer(tenant, id))?.total ?? 0;
    for (let index = total; index >= 1; index--) {
      const jobId = lineJobId(id, index);
      if (before === undefined || jobId < before) yield jobId;
    }
  }
}

/** A batch open for reading. */
export class OpenBatch {
  readonly #object: SealedObject<BatchFooter>;

  constructor(object: SealedObject<BatchFooter>) {
    this.#object = object;
  }

  get footer(): BatchFooter {
    return this.#object.footer;
  }

  /** @param index from 1 */
  async record(index: number): Promise<BatchRecord> {
    const { recordBytes, total } = this.footer;
    assert(1 <= index && index <= total, 'a batch has a record of this index');
    const entries = Buffer.alloc(INDEX_ENTRY_BYTES * 2);
    // The record before it, where there is one, tells where it begins.
    const first = Math.max(0, index - 2);
    await this.#object.read(
      entries.subarray(0, INDEX_ENTRY_BYTES * (index - first)),
      recordBytes + first * INDEX_ENTRY_BYTES,
    );
    const start = index === 1 ? 0 : entries.readUIntLE(0, 6);
    const stop = entries.readUIntLE((index - 1 - first) * INDEX_ENTRY_BYTES, 6);
    const record = Buffer.alloc(stop - start);
    await this.#object.read(record, start);
    return parseRecord(record);
  }

  /** The records of a slice, the first of them of index `slice` · SLICE_LINES + 1; none beyond the last. */
  async slice(slice: number): Promise<BatchRecord[]> {
    const { recordBytes, total } = this.footer;
    const first = slice * SLICE_LINES;
    const count = Math.min(SLICE_LINES, total - first);
    if (count <= 0) return [];
    // One entry more where there is one before: it tells where the first record begins.
    const before = first === 0 ? 0 : 1;
    const entries = Buffer.alloc((before + count) * INDEX_ENTRY_BYTES);
    await this.#object.read(entries, recordBytes + (first - before) * INDEX_ENTRY_BYTES);
    const ends = Array.from({ length: before + count }, (_, at) =>
      entries.readUIntLE(at * INDEX_ENTRY_BYTES, 6),
    );
    const start = before === 0 ? 0 : ends.shift()!; // there are two at least
    const records = Buffer.alloc(ends.at(-1)! - start); // count is positive
    await this.#object.read(records, start);
    return ends.map((end, at) => parseRecord(records.subarray((ends[at - 1] ?? start) - start, end - start)));
  }

  /** All records in order. */
  async *records(): AsyncGenerator<BatchRecord> {
    let rest = Buffer.alloc(0);
    for await (const piece of this.#object.readVerified(0, this.footer.recordBytes)) {
      let bytes = rest.length === 0 ? Buffer.from(piece) : Buffer.concat([rest, piece]);
      for (let end = bytes.indexOf(10); end >= 0; end = bytes.indexOf(10)) {
        yield parseRecord(bytes.subarray(0, end));
        bytes = bytes.subarray(end + 1);
      }
      rest = bytes;
    }
  }

  /** For each record, from the first on, whether it was rejected. */
  async rejections(): Promise<boolean[]> {
    const { recordBytes, total } = this.footer;
    const index = Buffer.alloc(total * INDEX_ENTRY_BYTES);
    await this.#object.read(index, recordBytes);
    return Array.from({ length: total }, (_, at) => index[at * INDEX_ENTRY_BYTES + 6] === 1);
  }

  /** Ids of the arrays that its jobs read. */
  async arrays(): Promise<string[]> {
    const { recordBytes, total, bytes } = this.footer;
    const start = recordBytes + total * INDEX_ENTRY_BYTES;
    const text = Buffer.alloc(bytes - start);
    await this.#object.read(text, start);
    return JSON.parse(text.toString()) as string[];
  }

  close(): Promise<void> {
    return this.#object.close();
  }
}

function parseRecord(bytes: Buffer): BatchRecord {
  return decodeDocument(bytes) as BatchRecord;
}
