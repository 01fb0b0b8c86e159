// The door: `createClient({ url })`, and what its methods take and give. Nothing but `fetch` is needed, so it runs in
// Node and in browsers alike; nothing below this folder imports a module of Node.

import type { NdArray } from './array.ts';
import { createArrays } from './arrays.ts';
import { createBatches } from './batches.ts';
import type { CheckReport, Job, JobInput, SystemDescription } from './documents.ts';
import { createJobs, requireSuccess, type WaitOptions } from './jobs.ts';
import { RETRY_DEFAULT, type RetryPolicy } from './retry.ts';
import { type CallOptions, createTransport, type Fetch } from './transport.ts';
import { WATCH_TIMES, type WatchTimes } from './watch.ts';

export { type ArraySource, fromNested, type NdArray, type NestedList, ndArray, toNested } from './array.ts';
export type { BatchJob } from './batches.ts';
export * from './documents.ts';
export type { Block } from './jobs.ts';
export { decodeNpy, encodeNpy } from './npy.ts';
export { ConnectionError, FrechetProblem, type ProblemDocument } from './problem.ts';
export type { CallOptions } from './transport.ts';

export interface ClientOptions {
  /** Of the service, such as `http://127.0.0.1:8080`. */
  readonly url: string;
  /** The API key, where the service wants one. */
  readonly key?: string | undefined;
  /** Instead of the global one: for proxies, tests, instrumentation. */
  readonly fetch?: Fetch;
  /** What to change of five retries over about a quarter of a minute. */
  readonly retry?: Partial<RetryPolicy>;
  /** What to change of how jobs are watched. */
  readonly watch?: Partial<WatchTimes>;
}

/** Most small jobs end well within this, so that they cost one request and the result. */
const COMPUTE_WAIT_SECONDS = 10;

export type Client = ReturnType<typeof createClient>;

/**
 * A client of the service at `url`. It holds no connection and needs no closing.
 *
 * @example
 * const frechet = createClient({ url: 'http://127.0.0.1:8080' });
 * const { result } = await frechet.compute({ operation: 'jvp', operands: { A: [[1, 2], [3, 4]] }, direction: H });
 */
export function createClient(options: ClientOptions) {
  const transport = createTransport({
    url: options.url.replace(/\/+$/, ''),
    key: options.key,
    // Called as a plain function: in browsers fetch must not have another `this`.
    fetch: options.fetch ?? ((input, init) => globalThis.fetch(input, init)),
    retry: { ...RETRY_DEFAULT, ...options.retry },
    random: Math.random,
  });
  const times = { ...WATCH_TIMES, ...options.watch };
  const arrays = createArrays(transport);
  const jobs = createJobs(transport, arrays, times);

  async function finish(input: JobInput, waiting: WaitOptions): Promise<Job> {
    const job = await jobs.submit(input, { waitSeconds: COMPUTE_WAIT_SECONDS, signal: waiting.signal });
    const ended = await jobs.wait(job, waiting);
    requireSuccess(ended);
    return ended;
  }

  return {
    arrays,
    jobs,
    batches: createBatches(transport, arrays, times),

    /** Submits a job, waits for its end, and reads the whole result. @throws FrechetProblem where it fails */
    async compute(
      input: JobInput & { readonly operation: Exclude<JobInput['operation'], 'check'> },
      waiting: WaitOptions = {},
    ): Promise<{ readonly job: Job; readonly result: NdArray }> {
      const job = await finish(input, waiting);
      return { job, result: await jobs.result(job, waiting) };
    },

    /** The same for a check. */
    async check(
      input: Omit<JobInput, 'operation'>,
      waiting: WaitOptions = {},
    ): Promise<{ readonly job: Job; readonly report: CheckReport }> {
      const job = await finish({ ...input, operation: 'check' }, waiting);
      return { job, report: await jobs.report(job, waiting) };
    },

    /** Version, limits, workers and queue of the service. */
    system: ({ signal }: CallOptions = {}): Promise<SystemDescription> =>
      transport.json({ path: '/v1/system', signal }),
  };
}
