// One job from its submission to its end, for a person who waits: progress while it runs, cancelled where they no
// longer want it.

import type { Client, Job, JobInput } from '../client/index.ts';
import { requireSuccess } from '../client/jobs.ts';
import type { Shell } from './command.ts';
import { CommandFailure } from './exit-codes.ts';
import { createProgressView } from './progress.ts';

const CANCEL_MS_MAX = 5_000;

/** Submits a job and waits for its success. @throws CommandFailure where it ends otherwise */
export async function runJob(client: Client, input: JobInput, shell: Shell, isQuiet: boolean): Promise<Job> {
  const { signal } = shell;
  const job = await client.jobs.submit(input, { signal: afterGrace(signal) });
  try {
    return succeeded(await followJob(client, job, shell, isQuiet));
  } catch (error) {
    // Nobody else knows this job.
    if (signal.aborted) {
      await client.jobs.cancel(job, { signal: AbortSignal.timeout(CANCEL_MS_MAX) }).catch(() => undefined);
    }
    throw error;
  }
}

/** An interruption lets a submission end: the work may be there before its answer is, and is to be cancelled then. */
export function afterGrace(signal: AbortSignal): AbortSignal {
  const later = new AbortController();
  const abort = () => void setTimeout(() => later.abort(signal.reason), CANCEL_MS_MAX).unref();
  signal.throwIfAborted();
  signal.addEventListener('abort', abort, { once: true });
  return later.signal;
}

/** Waits for a job's end, whichever it is. */
export async function followJob(
  client: Client,
  job: string | Pick<Job, 'id'>,
  { stderr, signal }: Shell,
  isQuiet: boolean,
): Promise<Job> {
  const view = createProgressView(stderr, isQuiet);
  try {
    return await client.jobs.wait(job, { signal, onProgress: view.update });
  } finally {
    view.end();
  }
}

/** @throws CommandFailure that says why the job has no result */
export function succeeded(job: Job): Job {
  try {
    requireSuccess(job);
    return job;
  } catch (error) {
    throw new CommandFailure(`job ${job.id} ${job.state}: ${(error as Error).message}`, { cause: error });
  }
}
