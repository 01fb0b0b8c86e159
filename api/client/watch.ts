// A job's life as events: over server-sent events, reconnecting where they break; by asking now and then where they do
// not get through (proxies hold streams back). Either way states and progress are told when they change, every finished
// block once, and the final state last.

import type { BlockDescription, Job, JobEvent } from './documents.ts';
import { isFinal } from './documents.ts';
import { readChunks, readEvents } from './event-stream.ts';
import { ConnectionError, FrechetProblem } from './problem.ts';
import { pause } from './retry.ts';
import type { CallOptions, Transport } from './transport.ts';

export interface WatchTimes {
  /** A stream begins with an event at once: one that has not said anything by then is held back. */
  readonly firstEventMsMax: number;
  /** The service gives a sign of life every 15 s. */
  readonly silenceMsMax: number;
  readonly pollMs: number;
  readonly pollMsMax: number;
}

export const WATCH_TIMES: WatchTimes = {
  firstEventMsMax: 10_000,
  silenceMsMax: 45_000,
  pollMs: 250,
  pollMsMax: 5_000,
};

/** Streams in a row that brought nothing: then they never will. */
const EMPTY_STREAMS_MAX = 2;
/** What a request for events may meet although the job is there, and asking for the job may still work. */
const STREAM_REFUSALS = new Set([405, 406, 415, 501]);

/** @throws FrechetProblem, not-found among them; ConnectionError; the signal's reason */
export async function* watchJob(
  transport: Transport,
  jobId: string,
  { signal }: CallOptions,
  times: WatchTimes,
): AsyncGenerator<JobEvent> {
  const told = new ToldEvents();
  for (let empty = 0; empty < EMPTY_STREAMS_MAX; empty += 1) {
    try {
      for await (const event of streamEvents(transport, jobId, signal, times)) {
        empty = -1;
        if (told.isNews(event)) yield event;
        if (event.event === 'state' && isFinal(event.data)) return;
      }
    } catch (error) {
      signal?.throwIfAborted();
      if (!isStreamFault(error)) throw error;
    }
    await pause(times.pollMs, signal);
  }
  yield* pollEvents(transport, jobId, signal, times, told);
}

/** Whether there may be another way to the job. */
function isStreamFault(error: unknown): boolean {
  if (error instanceof FrechetProblem) return STREAM_REFUSALS.has(error.status);
  return error instanceof ConnectionError || error instanceof SilentStream;
}

class SilentStream extends Error {}

async function* streamEvents(
  transport: Transport,
  jobId: string,
  signal: AbortSignal | undefined,
  times: WatchTimes,
): AsyncGenerator<JobEvent> {
  const silence = new AbortController();
  const giveUp = () => silence.abort(new SilentStream('the event stream says nothing'));
  let timer = setTimeout(giveUp, times.firstEventMsMax);
  try {
    const either = signal === undefined ? silence.signal : AbortSignal.any([signal, silence.signal]);
    const headers = { Accept: 'text/event-stream' };
    const request = { path: `/v1/jobs/${jobId}/events`, headers, signal: either };
    const response = await transport.send(request, async answer => answer);
    if (!response.headers.get('Content-Type')?.startsWith('text/event-stream')) return;
    for await (const { event, data } of readEvents(alive(readChunks(response.body)))) {
      yield { event, data: JSON.parse(data) } as JobEvent; // the contract's word
    }
  } catch (error) {
    if (silence.signal.aborted) throw silence.signal.reason;
    throw error;
  } finally {
    clearTimeout(timer);
    // The body may still be arriving where the watcher has left.
    silence.abort();
  }

  /** Heartbeats are comments, and no events: any byte is a sign of life. */
  async function* alive(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const chunk of chunks) {
      clearTimeout(timer);
      timer = setTimeout(giveUp, times.silenceMsMax);
      yield chunk;
    }
  }
}

async function* pollEvents(
  transport: Transport,
  jobId: string,
  signal: AbortSignal | undefined,
  times: WatchTimes,
  told: ToldEvents,
): AsyncGenerator<JobEvent> {
  for (let waitMs = times.pollMs; ; waitMs = Math.min(waitMs * 1.5, times.pollMsMax)) {
    const job: Job = await transport.json({ path: `/v1/jobs/${jobId}`, signal });
    for (const event of await eventsOf(transport, job, signal, told)) {
      if (told.isNews(event)) yield event;
    }
    if (isFinal(job)) return;
    await pause(waitMs, signal);
  }
}

async function eventsOf(
  transport: Transport,
  job: Job,
  signal: AbortSignal | undefined,
  told: ToldEvents,
): Promise<JobEvent[]> {
  const state: JobEvent = { event: 'state', data: job };
  const hasBlocks = job.progress.blocksDone > told.blockCount;
  const blocks = hasBlocks
    ? await transport.json<BlockDescription[]>({ path: `/v1/jobs/${job.id}/result/blocks`, signal })
    : [];
  const rest: JobEvent[] = [
    ...blocks.map((data): JobEvent => ({ event: 'block', data })),
    { event: 'progress', data: { ...job.progress, etaSeconds: null } },
  ];
  return isFinal(job) ? [...rest, state] : [state, ...rest];
}

/** What has been told, so that a stream that begins again, or another look, tells only what is new. */
class ToldEvents {
  #state = '';
  #progress = '';
  readonly #blocks = new Set<number>();

  get blockCount(): number {
    return this.#blocks.size;
  }

  /** Whether to tell this; it counts as told from here on. */
  isNews({ event, data }: JobEvent): boolean {
    if (event === 'block') {
      const isNew = !this.#blocks.has(data.index);
      this.#blocks.add(data.index);
      return isNew;
    }
    if (event === 'state') {
      const isNew = this.#state !== data.state;
      this.#state = data.state;
      return isNew;
    }
    const progress = `${data.blocksDone} ${data.flopsDone}`;
    const isNew = this.#progress !== progress;
    this.#progress = progress;
    return isNew;
  }
}
