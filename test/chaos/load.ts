// Clients that submit, read and cancel while everything fails, and remember what they were promised. Every job is of
// integers with entries of its own, so that the one right result is known bit for bit.

import { setTimeout as sleep } from 'node:timers/promises';
import type { JobDocument } from '../support/client.ts';
import { inline } from '../support/client.ts';
import type { Matrix } from '../support/evaluate.ts';
import { integers, product, transposed } from '../support/integers.ts';
import { decodeNpy } from '../support/npy.ts';
import type { Random } from '../support/random.ts';

const REQUEST_MS_MAX = 15_000;
const POLL_MS = 100;
const SIDE_MAX = 24;
/** A result of two blocks whatever the workers' memory, 69 MB. Its client deletes it, so that it does not fill the disk. */
const TALL = { rows: 2_400, cols: 3_600 };
/** One job of so many. */
const TALL_OF = 30;
const TALL_PATIENCE_MS = 20_000;

/** A job that was accepted, and what came of it. */
export interface Promised {
  readonly id: string;
  /** Milliseconds since the epoch, as all times. */
  readonly submittedAt: number;
  readonly expected: () => Matrix;
  readonly isTall: boolean;
  /** Its deletion was asked for: it may be there, or not. */
  isDeleted: boolean;
  /** Told that it was cancelled. */
  isCancelled: boolean;
  /** Told that it could not be, since it had succeeded or failed. */
  isKept: boolean;
  finalState: string | undefined;
  finishedAt: number | undefined;
  faults: string[];
}

export interface Load {
  readonly promised: readonly Promised[];
  /** Follows every job to its end, and looks at all of them once more. */
  settle(deadlineMs: number): Promise<void>;
}

type Request = (path: string, init?: RequestInit) => Promise<Response>;

/** Runs `clients` clients until `signal` aborts. */
export async function runLoad(
  url: string,
  clients: number,
  random: Random,
  signal: AbortSignal,
): Promise<Load> {
  const promised: Promised[] = [];
  const request: Request = (path, init) =>
    fetch(url + path, { ...init, signal: AbortSignal.timeout(REQUEST_MS_MAX) });
  await Promise.all(
    Array.from({ length: clients }, async (_, index) => {
      const own = random.fork();
      for (let seed = index; !signal.aborted; seed += clients) {
        const job = await submit(request, own, seed, promised);
        if (job === undefined) await sleep(POLL_MS);
        else await accompany(request, own, job, signal);
      }
    }),
  );
  return { promised, settle: deadlineMs => settle(request, promised, deadlineMs) };
}

/** Undefined where the job was not accepted, as far as this client knows. */
async function submit(
  request: Request,
  random: Random,
  seed: number,
  promised: Promised[],
): Promise<Promised | undefined> {
  const isTall = random.below(TALL_OF) === 0;
  const { body, expected } = isTall ? tallJob(seed) : smallJob(random, seed);
  const response = await request('/v1/jobs', {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(body),
  }).catch(() => undefined);
  if (response === undefined) return undefined;
  const document = await bodyOf<JobDocument>(response);
  if (!response.ok || document === undefined) return undefined;
  const job: Promised = {
    id: document.id,
    submittedAt: Date.now(),
    expected,
    isTall,
    isDeleted: false,
    isCancelled: false,
    isKept: false,
    finalState: undefined,
    finishedAt: undefined,
    faults: [],
  };
  promised.push(job);
  return job;
}

function smallJob(random: Random, seed: number): { body: object; expected: () => Matrix } {
  const [m, n, p] = [1 + random.below(SIDE_MAX), 1 + random.below(SIDE_MAX), 1 + random.below(SIDE_MAX)];
  const A = integers(m, n, seed);
  if (random.below(2) === 0) {
    const H = integers(n, p, seed + 1);
    const body = { operation: 'jvp', operands: { A: inline(A) }, direction: inline(H) };
    return { body, expected: () => product(A, H) };
  }
  const G = integers(m, p, seed + 1);
  const body = { operation: 'vjp', operands: { A: inline(A) }, cotangent: inline(G) };
  return { body, expected: () => product(transposed(A), G) };
}

function tallJob(seed: number): { body: object; expected: () => Matrix } {
  const [A, H] = [integers(TALL.rows, 1, seed), integers(1, TALL.cols, seed + 1)];
  const body = { operation: 'jvp', operands: { A: inline(A) }, direction: inline(H) };
  return { body, expected: () => product(A, H) };
}

/** Cancels some, waits for the others while that is allowed; what is not seen to its end now is looked at later. */
async function accompany(
  request: Request,
  random: Random,
  job: Promised,
  signal: AbortSignal,
): Promise<void> {
  if (random.below(8) === 0) {
    await sleep(random.between(0, 50));
    await cancel(request, job);
    if (job.isTall) await remove(request, job);
    return;
  }
  const patienceMs = job.isTall ? TALL_PATIENCE_MS : random.between(0, 3_000);
  const end = performance.now() + patienceMs;
  let isOver = false;
  while (!isOver && !signal.aborted && performance.now() < end) {
    isOver = await look(request, job);
    if (isOver) await check(request, job);
    else await sleep(POLL_MS);
  }
  if (!job.isTall) return;
  if (!isOver) await cancel(request, job);
  await remove(request, job);
}

async function remove(request: Request, job: Promised): Promise<void> {
  job.isDeleted = true;
  const response = await request(`/v1/jobs/${job.id}`, { method: 'DELETE' }).catch(() => undefined);
  if (response === undefined) return;
  await bodyOf(response);
  // 409: it could not be cancelled either, and goes on.
  if (![204, 409].includes(response.status) && response.status < 500)
    job.faults.push(`delete answered ${response.status}`);
}

async function cancel(request: Request, job: Promised): Promise<void> {
  const response = await request(`/v1/jobs/${job.id}/cancel`, { method: 'POST' }).catch(() => undefined);
  if (response === undefined) return;
  await bodyOf(response);
  if (response.status === 200) job.isCancelled = true;
  else if (response.status === 409) job.isKept = true;
  else if (response.status < 500) job.faults.push(`cancel answered ${response.status}`);
}

/** @returns whether the job is final */
async function look(request: Request, job: Promised): Promise<boolean> {
  const response = await request(`/v1/jobs/${job.id}`).catch(() => undefined);
  if (response === undefined) return false;
  const document = await bodyOf<JobDocument>(response);
  if (response.status === 404 && job.isDeleted) return true;
  if (response.status === 404) job.faults.push('an accepted job is not there');
  if (!response.ok || document === undefined) return false;
  const { state } = document;
  if (state === 'queued' || state === 'running') {
    if (job.finalState !== undefined) job.faults.push(`${state} after ${job.finalState}`);
    return false;
  }
  if (job.finalState !== undefined && job.finalState !== state)
    job.faults.push(`${state} after ${job.finalState}`);
  if (state === 'failed') job.faults.push(`failed: ${JSON.stringify(document.error)}`);
  if (job.isCancelled && state !== 'cancelled') job.faults.push(`${state} although it was cancelled`);
  if (job.isKept && state === 'cancelled') job.faults.push('cancelled although it had finished');
  job.finalState = state;
  job.finishedAt = Date.parse(document.finishedAt ?? '');
  return true;
}

/** Compares the result of a job that succeeded. @returns whether it could be read */
async function check(request: Request, job: Promised): Promise<void> {
  if (job.finalState !== 'succeeded') return;
  const response = await request(`/v1/jobs/${job.id}/result`).catch(() => undefined);
  const bytes = await response?.arrayBuffer().catch(() => undefined);
  if (response?.status !== 200 || bytes === undefined) return;
  const { values } = decodeNpy(new Uint8Array(bytes));
  const { data } = job.expected();
  if (values.length !== data.length || values.some((value, at) => value !== data[at]))
    job.faults.push('a wrong result');
}

async function settle(request: Request, promised: readonly Promised[], deadlineMs: number): Promise<void> {
  const deadline = performance.now() + deadlineMs;
  for (const job of promised) {
    let isOver = await look(request, job);
    for (; !isOver && performance.now() < deadline; isOver = await look(request, job)) await sleep(POLL_MS);
    if (!isOver) job.faults.push('no final state');
  }
  for (const job of promised) {
    await look(request, job);
    if (!job.isDeleted) await check(request, job);
  }
}

async function bodyOf<T>(response: Response): Promise<T | undefined> {
  return response.json().catch(() => undefined) as Promise<T | undefined>;
}
