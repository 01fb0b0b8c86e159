// Specs, blocks and outcomes of jobs. Each is written once: a spec makes a job exist, its outcome makes it final, a
// block found in the store needs no second computation. What a job's state is follows from these alone.

import { FrechetError } from '../errors.ts';
import type { BlockReceipt, FinalState, Outcome } from '../job/outcome.ts';
import type { JobSpec } from '../job/spec.ts';
import { batchIdOf, lineJobId } from './batch-ids.ts';
import { type BatchFooter, BatchStore } from './batch-store.ts';
import { type Claims, createClaims } from './claims.ts';
import { decodeDocument, encodeDocument } from './store/document.ts';
import { mergeNewestFirst, newestFirst, pruneShard, shardOf } from './store/newest-first.ts';
import { encodeFooter, openSealed, type SealedObject } from './store/sealed.ts';
import type { Store } from './store/store.ts';

/** A finished block, open for reading: `footer` is its receipt. The caller closes it. */
export type OpenBlock = SealedObject<BlockReceipt>;

/** A job, as far as ending it depends on its spec. */
type EndingJob = Pick<JobSpec, 'tenant' | 'id' | 'isSmall'>;

/** What is stored of a job: its spec, and the name of the claim that its idempotency key has made on it. */
type StoredSpec = JobSpec & { readonly claim?: string | undefined };

/** What is left of a deleted job of a batch. */
interface Tombstone {
  readonly version: 1;
  readonly state: FinalState;
}

const JOB_ID = /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/;

/** True for text of the form of a job's id, a ULID; other text names no job. */
export function isJobId(text: string): boolean {
  return JOB_ID.test(text);
}

export class JobStore {
  readonly batches: BatchStore;
  readonly #store: Store;
  readonly #claims: Claims;
  readonly #now: () => number;
  /** Those under way in this process, by the key of the job. */
  readonly #deletions = new Map<string, Promise<boolean>>();

  /** `now` answers milliseconds since the epoch. */
  constructor(store: Store, now: () => number = Date.now) {
    this.#store = store;
    this.#claims = createClaims(store);
    this.batches = new BatchStore(store);
    this.#now = now;
  }

  /** Makes a job exist; false where one has this id already. From here on it must reach a final state. */
  async createSpec(spec: JobSpec, claim?: string): Promise<boolean> {
    const stored: StoredSpec = claim === undefined ? spec : { ...spec, claim };
    return this.#putDocument(`${jobKey(spec.tenant, spec.id)}/spec`, stored);
  }

  async readSpec(tenant: string, jobId: string): Promise<JobSpec | undefined> {
    const own = await this.#readDocument<StoredSpec>(tenant, jobId, 'spec');
    if (own !== undefined || !isJobId(jobId)) return own;
    const spec = await this.batches.readSpec(tenant, jobId);
    return spec === undefined || (await this.#wasDeleted(tenant, jobId)) ? undefined : spec;
  }

  /** Ends a job; false where it has ended already, and then nothing changes. Of many that compete, one is told true. */
  async putOutcome({ tenant, id, isSmall }: EndingJob, outcome: Outcome): Promise<boolean> {
    if (isSmall && !(await this.batches.slices.release(tenant, id))) return false;
    return this.#putDocument(`${jobKey(tenant, id)}/outcome`, outcome);
  }

  async readOutcome(tenant: string, jobId: string): Promise<Outcome | undefined> {
    if (!isJobId(jobId)) return undefined;
    const remembered = this.batches.slices.remembered(tenant, jobId);
    if (remembered !== undefined) return remembered;
    const own = await this.#readDocument<Outcome>(tenant, jobId, 'outcome');
    return own ?? (await this.batches.slices.outcomeOf(tenant, jobId));
  }

  /** @param mayBeSmall false where the spec says that the job cannot have ended with a slice */
  async hasOutcome(tenant: string, jobId: string, mayBeSmall = true): Promise<boolean> {
    if (!isJobId(jobId)) return false;
    if (this.batches.slices.remembered(tenant, jobId) !== undefined) return true;
    if ((await this.#store.stat(`${jobKey(tenant, jobId)}/outcome`)) !== undefined) return true;
    return mayBeSmall && (await this.batches.slices.outcomeOf(tenant, jobId)) !== undefined;
  }

  /** How a job ended, also where it has been deleted since and was one of a batch: then no end that came later counts. */
  async finalState(tenant: string, jobId: string): Promise<FinalState | undefined> {
    const tombstone = await this.#readDocument<Tombstone>(tenant, jobId, 'deleted');
    return tombstone?.state ?? (await this.readOutcome(tenant, jobId))?.state;
  }

  /** Ids of the jobs of a batch of which the store holds something, ascending. */
  async startedLines(tenant: string, batchId: string, last: string): Promise<string[]> {
    const names = await this.#store.list(`tenants/${tenant}/jobs/${shardOf(batchId)}`, { after: batchId });
    return names.filter(jobId => jobId <= last);
  }

  /**
   * Stores a block: `data` (which may lie in shared memory) and receipt appear together. False where the block is
   * there already. The digests in the receipt are the caller's; they are not computed again here.
   */
  async putBlock(
    tenant: string,
    jobId: string,
    data: readonly Uint8Array[],
    receipt: BlockReceipt,
  ): Promise<boolean> {
    const key = blockKey(tenant, jobId, receipt.index);
    return this.#store.put(key, [...data, encodeFooter(receipt)], { exclusive: true });
  }

  /** @throws result-corrupt where the receipt is damaged. */
  async readReceipt(
    tenant: string,
    jobId: string,
    index: number,
    mayBeSmall = true,
  ): Promise<BlockReceipt | undefined> {
    const block = await this.openBlock(tenant, jobId, index, mayBeSmall);
    await block?.close();
    return block?.footer;
  }

  /** @throws result-corrupt where the receipt is damaged or another block's; reading does where the data are. */
  async openBlock(
    tenant: string,
    jobId: string,
    index: number,
    mayBeSmall = true,
  ): Promise<OpenBlock | undefined> {
    if (!isJobId(jobId)) return undefined;
    const key = blockKey(tenant, jobId, index);
    const block = await openSealed<BlockReceipt>(this.#store, key, 'result-corrupt');
    if (block === undefined) return index === 0 && mayBeSmall ? this.#openSliced(tenant, jobId) : undefined;
    if (block.footer.index === index) return block;
    await block.close();
    throw new FrechetError(
      'result-corrupt',
      `Stored data are damaged: another block is in the place of ${index}.`,
    );
  }

  /** The result of a job that ended with its slice, which was verified as it was read. */
  async #openSliced(tenant: string, jobId: string): Promise<OpenBlock | undefined> {
    const block = await this.batches.slices.blockOf(tenant, jobId);
    if (block === undefined) return undefined;
    const { receipt, data } = block;
    return {
      footer: receipt,
      async read(target, position) {
        const piece = data.subarray(position, position + target.byteLength);
        target.set(piece);
        return piece.byteLength;
      },
      async *readVerified(start, stop) {
        if (start < stop) yield data.subarray(start, stop);
      },
      close: async () => undefined,
    };
  }

  /** Indexes of the finished blocks that lie by themselves, ascending. */
  async listBlocks(tenant: string, jobId: string): Promise<number[]> {
    if (!isJobId(jobId)) return [];
    const names = await this.#store.list(`${jobKey(tenant, jobId)}/blocks`);
    return names.map(Number).sort((a, b) => a - b);
  }

  /** Removes a damaged block, so that it can be computed again. */
  async deleteBlock(tenant: string, jobId: string, index: number): Promise<void> {
    await this.#store.delete(blockKey(tenant, jobId, index));
  }

  /** Ids of a tenant's jobs, newest first, from the one just older than `before` on. Some may be half deleted: no spec. */
  jobIds(tenant: string, before?: string): AsyncGenerator<string> {
    const own = newestFirst(this.#store, `tenants/${tenant}/jobs`, before);
    return mergeNewestFirst(own, this.batches.jobIds(tenant, before));
  }

  /** Whether there is a job of an id that one was given; false also where it is half deleted. True for a batch's own. */
  async hasSpec(tenant: string, jobId: string): Promise<boolean> {
    if ((await this.#store.stat(`${jobKey(tenant, jobId)}/spec`)) !== undefined) return true;
    const isLine = await this.batches.has(tenant, batchIdOf(jobId));
    return isLine && !(await this.#wasDeleted(tenant, jobId));
  }

  /** The runs of time into which a tenant's jobs are filed, oldest first. */
  async shards(tenant: string): Promise<string[]> {
    return this.#store.list(`tenants/${tenant}/jobs`);
  }

  async jobIdsIn(tenant: string, shard: string): Promise<string[]> {
    return this.#store.list(`tenants/${tenant}/jobs/${shard}`);
  }

  /** Every tenant that ever stored something. */
  async tenants(): Promise<string[]> {
    return this.#store.list('tenants');
  }

  /**
   * Removes a finished job. Its claim goes before the spec, so that a claim without a spec is one to be followed. With
   * the spec the job is absent, and nobody takes it for unfinished.
   * The outcome goes last, so that a deletion cut short is recognised and repeated. Of many at once, one is told true.
   */
  async deleteJob(tenant: string, jobId: string): Promise<boolean> {
    const key = jobKey(tenant, jobId);
    // The last of a group takes the tombstones along, which would let another that is as far believe it was first.
    const first = this.#deletions.get(key);
    if (first !== undefined) return first.then(() => false);
    const deletion = this.#deleteJob(tenant, jobId).finally(() => this.#deletions.delete(key));
    this.#deletions.set(key, deletion);
    return deletion;
  }

  async #deleteJob(tenant: string, jobId: string): Promise<boolean> {
    const key = jobKey(tenant, jobId);
    if ((await this.batches.readSpec(tenant, jobId)) !== undefined) return this.#deleteLine(tenant, jobId);
    const claim = (await this.#readDocument<StoredSpec>(tenant, jobId, 'spec'))?.claim;
    if (claim !== undefined) await this.#claims.remove(tenant, claim);
    const wasThere = await this.#store.delete(`${key}/spec`);
    await this.#store.deletePrefix(`${key}/blocks`);
    await this.#store.deletePrefix(key);
    await pruneShard(this.#store, `tenants/${tenant}/jobs`, jobId, this.#now());
    return wasThere;
  }

  /**
   * Removes a batch that has ended, and all that its jobs have left. Its claim goes first and its outcome last, as those
   * of a job; without its lines its jobs are absent.
   */
  async deleteBatch(tenant: string, id: string, footer: BatchFooter | undefined): Promise<void> {
    if (footer?.claim) await this.#claims.remove(tenant, footer.claim);
    await this.batches.deleteLines(tenant, id);
    for (const jobId of footer === undefined
      ? []
      : await this.startedLines(tenant, id, lineJobId(id, footer.total))) {
      await this.#store.deletePrefix(jobKey(tenant, jobId));
      await pruneShard(this.#store, `tenants/${tenant}/jobs`, jobId, this.#now());
    }
    await this.batches.deleteOutcome(tenant, id);
    await pruneShard(this.#store, `tenants/${tenant}/batches`, id, this.#now());
  }

  /** A line cannot be cut out of its batch: what says that its job is gone stays for as long as the batch. */
  async #deleteLine(tenant: string, jobId: string): Promise<boolean> {
    const key = jobKey(tenant, jobId);
    const state = (await this.finalState(tenant, jobId)) ?? 'cancelled';
    const wasThere = await this.#putDocument(`${key}/deleted`, { version: 1, state });
    await this.#store.deletePrefix(`${key}/blocks`);
    await this.#store.delete(`${key}/outcome`);
    await this.#deleteGroupOf(tenant, jobId);
    return wasThere;
  }

  /** Nobody asked for a group as such, so it goes with the last of its jobs. */
  async #deleteGroupOf(tenant: string, jobId: string): Promise<void> {
    const id = batchIdOf(jobId);
    const footer = await this.batches.footer(tenant, id);
    if (footer?.isGroup !== true) return;
    for (let index = 1; index <= footer.total; index += 1)
      if (!(await this.#wasDeleted(tenant, lineJobId(id, index)))) return;
    await this.deleteBatch(tenant, id, footer);
  }

  async #wasDeleted(tenant: string, jobId: string): Promise<boolean> {
    return (await this.#store.stat(`${jobKey(tenant, jobId)}/deleted`)) !== undefined;
  }

  /** Removes the blocks of a finished job, which stays to be read. */
  async deleteResult(tenant: string, jobId: string): Promise<void> {
    await this.#store.deletePrefix(`${jobKey(tenant, jobId)}/blocks`);
  }

  async #putDocument(key: string, document: JobSpec | Outcome | Tombstone): Promise<boolean> {
    return this.#store.put(key, [encodeDocument(document)], { exclusive: true });
  }

  async #readDocument<T extends { version: 1 }>(
    tenant: string,
    jobId: string,
    name: string,
  ): Promise<T | undefined> {
    if (!isJobId(jobId)) return undefined;
    const bytes = await this.#store.get(`${jobKey(tenant, jobId)}/${name}`);
    if (bytes === undefined) return undefined;
    const document = decodeDocument(bytes) as { version?: unknown } | null;
    // Version 1 has been validated by the process that wrote it.
    if (document?.version === 1) return document as T;
    throw new FrechetError(
      'unavailable',
      `The stored ${name} of the job is of a form this version cannot read.`,
    );
  }
}

/** Everything of a job lies under this key. */
export function jobKey(tenant: string, jobId: string): string {
  return `tenants/${tenant}/jobs/${shardOf(jobId)}/${jobId}`;
}

function blockKey(tenant: string, jobId: string, index: number): string {
  return `${jobKey(tenant, jobId)}/blocks/${index}`;
}
