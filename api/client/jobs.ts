// Jobs of the service: plan, submit, watch, wait, read results, cancel, delete.

import type { NdArray } from './array.ts';
import { type Arrays, type ListOptions, listPages } from './arrays.ts';
import type {
  BlockDescription,
  CheckReport,
  Job,
  JobEvent,
  JobInput,
  JobState,
  Plan,
  Progress,
} from './documents.ts';
import { isFinal } from './documents.ts';
import { collect, download, streamOf } from './download.ts';
import { jobText } from './job-text.ts';
import { decodeNpy } from './npy.ts';
import { FrechetProblem, localProblem } from './problem.ts';
import type { CallOptions, Transport } from './transport.ts';
import { type WatchTimes, watchJob } from './watch.ts';

const JSON_TYPE = 'application/json';
const NPY = 'application/x-npy';

/** A job, or its id. */
export type JobReference = string | Pick<Job, 'id'>;

export interface SubmitOptions extends CallOptions {
  /** The answer may wait this long for the job's end: one request for a small job. */
  readonly waitSeconds?: number;
  /** Yours, to survive a crash of your process too; else a random one covers the retries of this call. */
  readonly idempotencyKey?: string;
}

export interface WaitOptions extends CallOptions {
  readonly onProgress?: (progress: Progress & { readonly etaSeconds: number | null }, job: Job) => void;
}

export interface JobListOptions extends ListOptions {
  readonly state?: JobState;
  readonly label?: { readonly key: string; readonly value: string };
}

export interface ResultOptions extends CallOptions {
  readonly mediaType?: 'application/x-npy' | 'application/json' | 'text/csv';
}

/** A finished piece of a result that may still be growing. */
export interface Block extends BlockDescription {
  read(options?: CallOptions): Promise<NdArray>;
}

export function createJobs(transport: Transport, arrays: Arrays, times: WatchTimes) {
  async function submit(job: JobInput, options: SubmitOptions = {}): Promise<Job> {
    const text = await jobText(job, arrays, options);
    return submitText(text, options);
  }

  /** Submits a job that is JSON already. */
  function submitText(text: string, options: SubmitOptions = {}): Promise<Job> {
    const { waitSeconds, signal } = options;
    return transport.json({
      method: 'POST',
      path: '/v1/jobs',
      headers: {
        'Content-Type': JSON_TYPE,
        'Idempotency-Key': options.idempotencyKey ?? randomKey(),
        ...(waitSeconds === undefined ? {} : { Prefer: `wait=${waitSeconds}` }),
      },
      body: () => text,
      signal,
    });
  }

  const watch = (job: JobReference, options: CallOptions = {}): AsyncGenerator<JobEvent> =>
    watchJob(transport, idOf(job), options, times);

  async function wait(job: JobReference, options: WaitOptions = {}): Promise<Job> {
    if (typeof job !== 'string' && 'state' in job && isFinal(job as Job)) return job as Job; // has a state
    let latest: Job | undefined;
    for await (const { event, data } of watch(job, options)) {
      if (event === 'state') latest = data;
      if (event === 'progress' && latest !== undefined) options.onProgress?.(data, latest);
    }
    if (latest === undefined) throw localProblem('not-found', 'the job was deleted while it was watched');
    return latest;
  }

  async function blockList(job: JobReference, { signal }: CallOptions = {}): Promise<Block[]> {
    const path = `/v1/jobs/${idOf(job)}/result/blocks`;
    const list = await transport.json<BlockDescription[]>({ path, signal });
    return list.map(asBlock);
  }

  function asBlock(description: BlockDescription): Block {
    return {
      ...description,
      async read({ signal }: CallOptions = {}) {
        const request = { path: description.href, headers: { Accept: NPY }, signal };
        return decodeNpy(await collect(await download(transport, request)));
      },
    };
  }

  /** Each block as it is finished, those that are already first. @throws FrechetProblem where the job fails */
  async function* blocks(job: JobReference, options: CallOptions = {}): AsyncGenerator<Block> {
    const seen = new Set<number>();
    for await (const { event, data } of watch(job, options)) {
      if (event === 'block') {
        seen.add(data.index);
        yield asBlock(data);
      } else if (event === 'state' && isFinal(data)) {
        requireSuccess(data);
      }
    }
    // Of a job that had ended before, the events tell the state alone.
    for (const block of await blockList(job, options)) if (!seen.has(block.index)) yield block;
  }

  const downloadResult = (job: JobReference, { mediaType = NPY, signal }: ResultOptions) =>
    download(transport, { path: `/v1/jobs/${idOf(job)}/result`, headers: { Accept: mediaType }, signal });

  return {
    submit,
    submitText,

    /** What a job would be; nothing runs. Arrays that are too large to stand in the request are uploaded for it. */
    async plan(job: JobInput, { signal }: CallOptions = {}): Promise<Plan> {
      const text = await jobText(job, arrays, { signal });
      const headers = { 'Content-Type': JSON_TYPE };
      return transport.json({ method: 'POST', path: '/v1/plan', headers, body: () => text, signal });
    },

    get: (job: JobReference, { signal }: CallOptions = {}): Promise<Job> =>
      transport.json({ path: `/v1/jobs/${idOf(job)}`, signal }),

    /** Newest first. */
    list: ({ pageSize, state, label, signal }: JobListOptions = {}): AsyncGenerator<Job> => {
      const query = { limit: pageSize, state, label: label && `${label.key}:${label.value}` };
      return listPages(transport, '/v1/jobs', query, signal);
    },

    /** States, progress and blocks as they happen, and the final state last. */
    watch,

    /** Resolves to the job in its final state, whichever that is. */
    wait,

    blocks,

    /** The blocks that are finished now. */
    blockList,

    /** The whole result. @throws FrechetProblem job-not-finished, job-failed, job-cancelled, expired */
    async result(job: JobReference, { signal }: CallOptions = {}): Promise<NdArray> {
      return decodeNpy(await collect(await downloadResult(job, { signal })));
    },

    /** The report of a check. */
    report: (job: JobReference, { signal }: CallOptions = {}): Promise<CheckReport> =>
      transport.json({ path: `/v1/jobs/${idOf(job)}/result`, headers: { Accept: JSON_TYPE }, signal }),

    /** The result's body as it arrives; resumed where the connection breaks. */
    async stream(job: JobReference, options: ResultOptions = {}): Promise<ReadableStream<Uint8Array>> {
      const { chunks } = await downloadResult(job, options);
      return streamOf(chunks);
    },

    /** Repeatable. @throws FrechetProblem job-finished after success or failure */
    cancel: (job: JobReference, { signal }: CallOptions = {}): Promise<Job> =>
      transport.json({ method: 'POST', path: `/v1/jobs/${idOf(job)}/cancel`, signal }),

    /** Deletes a final job and its result. */
    async delete(job: JobReference, { signal }: CallOptions = {}): Promise<void> {
      await transport.send(
        { method: 'DELETE', path: `/v1/jobs/${idOf(job)}`, signal },
        async () => undefined,
      );
    },
  };
}

function idOf(job: JobReference): string {
  return encodeURIComponent(typeof job === 'string' ? job : job.id);
}

/** @throws FrechetProblem that says why a job that has ended has no result */
export function requireSuccess(job: Job): void {
  if (job.state === 'failed' && job.error !== null) throw new FrechetProblem(job.error);
  if (job.state === 'cancelled') throw localProblem('job-cancelled', `the job ${job.id} was cancelled`);
}

/** 128 random bits. Not crypto.randomUUID, which browsers hide from plain HTTP as they do WebCrypto. */
export function randomKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, byte => byte.toString(16).padStart(2, '0')).join('');
}
