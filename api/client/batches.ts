// Batches: many jobs in one request (contract §7).

import type { Arrays } from './arrays.ts';
import type { Batch, BatchLine, JobInput } from './documents.ts';
import { readChunks, readLines } from './event-stream.ts';
import { jobText, type Uploads } from './job-text.ts';
import { randomKey } from './jobs.ts';
import { pause } from './retry.ts';
import type { CallOptions, Transport } from './transport.ts';
import type { WatchTimes } from './watch.ts';

/** A batch, or its id. */
export type BatchReference = string | Pick<Batch, 'id'>;

export type BatchJob = JobInput & {
  /** Comes back with what became of the job. */
  readonly customId?: string;
};

export interface BatchOptions extends CallOptions {
  readonly idempotencyKey?: string;
}

export interface BatchWaitOptions extends CallOptions {
  readonly onProgress?: (batch: Batch) => void;
}

export function createBatches(transport: Transport, arrays: Arrays, times: WatchTimes) {
  /** Submits lines that are JSON already. */
  function submitText(text: string, { idempotencyKey, signal }: BatchOptions = {}): Promise<Batch> {
    return transport.json({
      method: 'POST',
      path: '/v1/batches',
      headers: {
        'Content-Type': 'application/x-ndjson',
        'Idempotency-Key': idempotencyKey ?? randomKey(),
      },
      body: () => text,
      signal,
    });
  }

  const get = (batch: BatchReference, { signal }: CallOptions = {}): Promise<Batch> =>
    transport.json({ path: pathOf(batch), signal });

  return {
    /** An array that several jobs refer to by the same object is uploaded once. */
    async submit(
      jobs: Iterable<BatchJob> | AsyncIterable<BatchJob>,
      options: BatchOptions = {},
    ): Promise<Batch> {
      const uploads: Uploads = new Map();
      const lines: string[] = [];
      for await (const { customId, ...job } of jobs) {
        lines.push(await jobText(job, arrays, options, uploads, { customId }));
      }
      return submitText(`${lines.join('\n')}\n`, options);
    },

    submitText,

    get,

    /** Resolves when no job of it is queued or running. */
    async wait(batch: BatchReference, { onProgress, signal }: BatchWaitOptions = {}): Promise<Batch> {
      for (let waitMs = times.pollMs; ; waitMs = Math.min(waitMs * 1.5, times.pollMsMax)) {
        const latest = await get(batch, { signal });
        onProgress?.(latest);
        if (isFinished(latest)) return latest;
        await pause(waitMs, signal);
      }
    },

    /** A line for each input line, in input order, as they arrive. */
    async *jobs(batch: BatchReference, { signal }: CallOptions = {}): AsyncGenerator<BatchLine> {
      const request = { path: `${pathOf(batch)}/jobs`, headers: { Accept: 'application/x-ndjson' }, signal };
      const response = await transport.send(request, async answer => answer);
      for await (const line of readLines(readChunks(response.body))) {
        if (line !== '') yield JSON.parse(line) as BatchLine;
      }
    },

    /** Cancels every unfinished job of it. */
    cancel: (batch: BatchReference, { signal }: CallOptions = {}): Promise<Batch> =>
      transport.json({ method: 'POST', path: `${pathOf(batch)}/cancel`, signal }),
  };
}

function pathOf(batch: BatchReference): string {
  return `/v1/batches/${encodeURIComponent(typeof batch === 'string' ? batch : batch.id)}`;
}

/** Whether no job of the batch is queued or running. */
export function isFinished({ counts }: Pick<Batch, 'counts'>): boolean {
  return counts.queued === 0 && counts.running === 0;
}
