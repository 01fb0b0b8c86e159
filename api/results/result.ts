// A finished job's result as one range of bytes over its blocks: nothing is assembled, a range opens the blocks it
// touches, and every byte has been compared with its recorded digest before it leaves.

import { FrechetError } from '../../shared/errors.ts';
import type { ArrayHeader } from '../../shared/io/array-header.ts';
import type { JobStore } from '../../shared/io/job-store.ts';
import type { JobPlan } from '../../shared/job/job-plan.ts';
import type { Manifest, ManifestBlock, Outcome } from '../../shared/job/outcome.ts';
import type { JobSpec } from '../../shared/job/spec.ts';
import type { GatewayDeps } from '../deps.ts';
import { findJob } from '../jobs/known-job.ts';

export type ResultDeps = Pick<GatewayDeps, 'jobs' | 'clock'>;

export interface Result {
  /** Undefined for a check, whose result is a JSON document. */
  readonly header: ArrayHeader | undefined;
  /** Of the data: without the header that a .npy body begins with. */
  readonly bytes: number;
  readonly digest: string;
  /** The bytes [start, stop) of the data, verified. Throws result-corrupt where they are not as computed. */
  read(start: number, stop: number): AsyncGenerator<Uint8Array>;
}

/** @throws not-found, job-not-finished, expired, job-failed, job-cancelled */
export async function findResult(deps: ResultDeps, tenant: string, jobId: string): Promise<Result> {
  const { spec, plan } = await findJob(deps.jobs, tenant, jobId);
  const { manifest } = requireSuccess(await deps.jobs.readOutcome(tenant, jobId), deps.clock());
  return {
    header: resultHeader(plan),
    bytes: manifest.blocks.reduce((sum, block) => sum + block.bytes, 0),
    digest: manifest.digest,
    read: (start, stop) => readManifest(deps.jobs, spec, manifest, start, stop),
  };
}

function requireSuccess(
  outcome: Outcome | undefined,
  nowMs: number,
): Extract<Outcome, { state: 'succeeded' }> {
  if (outcome === undefined) throw new FrechetError('job-not-finished', 'the result is not complete yet');
  refuseExpired(outcome, nowMs);
  if (outcome.state === 'succeeded') return outcome;
  if (outcome.state === 'cancelled') throw new FrechetError('job-cancelled', 'a cancelled job has no result');
  throw new FrechetError('job-failed', outcome.problem.detail);
}

/** @throws expired */
export function refuseExpired(outcome: Outcome | undefined, nowMs: number): void {
  if (outcome === undefined || Date.parse(outcome.expiresAt) > nowMs) return;
  throw new FrechetError('expired', `the result was kept until ${outcome.expiresAt}`);
}

/** Undefined for a check. */
export function resultHeader({ result }: JobPlan): ArrayHeader | undefined {
  const { shape, dtype, order } = result;
  return shape === null || dtype === null || order === null ? undefined : { shape, dtype, order };
}

async function* readManifest(
  jobs: JobStore,
  spec: JobSpec,
  { blocks }: Manifest,
  start: number,
  stop: number,
): AsyncGenerator<Uint8Array> {
  let blockStart = 0;
  for (const [index, block] of blocks.entries()) {
    const blockStop = blockStart + block.bytes;
    const from = Math.max(start, blockStart);
    const to = Math.min(stop, blockStop);
    if (from < to) yield* readBlock(jobs, spec, index, block, from - blockStart, to - blockStart);
    blockStart = blockStop;
  }
}

async function* readBlock(
  jobs: JobStore,
  { tenant, id }: JobSpec,
  index: number,
  expected: ManifestBlock,
  start: number,
  stop: number,
): AsyncGenerator<Uint8Array> {
  const block = await jobs.openBlock(tenant, id, index);
  if (block === undefined) throw new FrechetError('result-corrupt', `block ${index} is not in the store`);
  try {
    if (block.footer.sha256 !== expected.sha256 || block.footer.bytes !== expected.bytes) {
      throw new FrechetError('result-corrupt', `block ${index} is not the one that was computed`);
    }
    yield* block.readVerified(start, stop);
  } finally {
    await block.close();
  }
}
