// The story of a block: load → plan → compute → verify → store. Everything it needs is decided before it starts,
// everything it holds is given back however it ends, and it may run twice with the effect of once.

import { FrechetError } from '../shared/errors.ts';
import type { JobStore } from '../shared/io/job-store.ts';
import type { Logger } from '../shared/io/logger.ts';
import type { WorkerMetrics } from '../shared/io/metrics.ts';
import { blockOutputs, type DerivationInput } from '../shared/job/derivation.ts';
import type { JobPlan } from '../shared/job/job-plan.ts';
import { RESULT_CHUNK_BYTES } from '../shared/job/limits.ts';
import type { BlockReceipt } from '../shared/job/outcome.ts';
import type { JobSpec } from '../shared/job/spec.ts';
import { DTYPES } from '../shared/math/dtype.ts';
import { createCheckReport } from './check-report.ts';
import { type Digests, digestData } from './execute/digests.ts';
import { createExecution, type Execution, type ExecutionReport } from './execute/executor.ts';
import type { Threads } from './execute/threads.ts';
import type { KernelName } from './kernels/kernel.ts';
import { type LoadDeps, slabRequest } from './load.ts';
import type { ArrayCache, Holding } from './memory/array-cache.ts';
import { lowerProgram, type Program } from './plan/lower.ts';
import type { Plan } from './plan/plan.ts';
import { drawSeed } from './verify/seed.ts';

export interface BlockDeps extends LoadDeps {
  readonly jobs: JobStore;
  readonly cache: ArrayCache;
  readonly threads: Threads;
  readonly metrics: WorkerMetrics;
  readonly log: Logger;
  /** The kernels of ordinary and of reproducible jobs. */
  readonly kernels: { readonly fastest: KernelName; readonly reproducible: KernelName };
  readonly clock: () => number;
}

export interface BlockWork {
  readonly spec: JobSpec;
  readonly plan: JobPlan;
  readonly index: number;
  /** Hears of the running computation, so that it can be cancelled and asked for its progress. */
  readonly onExecution: (execution: Execution) => void;
}

/** A computed block must fail the test this often before its job does: once may be the weather, twice is the machine. */
const VERIFICATION_ATTEMPTS = 2;

/**
 * Computes, verifies and stores one block.
 *
 * @throws Cancelled; operand-lost, operand-corrupt, verification-failed, value-not-finite (final); busy and outage kinds
 */
export async function runBlock(deps: BlockDeps, work: BlockWork): Promise<void> {
  const startedAt = new Date(deps.clock()).toISOString();
  const { spec, plan: jobPlan, index } = work;
  const program = blockProgram(spec, jobPlan, index);
  const plan = lowerProgram(program);
  const loadStart = performance.now();
  const holding = await deps.cache.acquire(plan.regionBytes, slabRequests(deps, spec, jobPlan, plan));
  const load = secondsSince(loadStart);
  try {
    const { report, execution } = await computeVerified(deps, work, plan, holding);
    const storeStart = performance.now();
    const result = await finishResult(deps, work, plan, holding, execution);
    const kernel = spec.reproducible ? deps.kernels.reproducible : deps.kernels.fastest;
    const flops = jobPlan.blockFlops(index);
    const receipt: BlockReceipt = {
      index,
      ...jobPlan.block(index),
      bytes: result.data.byteLength,
      ...result.digests,
      verification: {
        method: 'freivalds',
        rounds: 1,
        seed: report.seed,
        maxError: report.maxError,
        bound: report.bound,
      },
      kernel,
      seconds: {
        load,
        compute: report.computeSeconds,
        verify: report.verifySeconds,
        store: secondsSince(storeStart),
      },
      flops: String(flops),
      startedAt,
      finishedAt: new Date(deps.clock()).toISOString(),
    };
    const stored = await deps.jobs.putBlock(spec.tenant, spec.id, [result.data], receipt);
    deps.metrics.frechet_blocks_finished_total.inc({ outcome: stored ? 'stored' : 'present' });
    deps.metrics.frechet_flops_total.inc({ kernel, dtype: spec.dtype }, Number(flops));
    observePhases(deps.metrics, { ...receipt.seconds, store: secondsSince(storeStart) });
  } finally {
    holding.release();
  }
}

function blockProgram(spec: JobSpec, { derivation, block }: JobPlan, index: number): Program {
  const range = block(index);
  const isStack = derivation.members !== undefined;
  return {
    outputs: blockOutputs(derivation, range),
    order: derivation.order,
    dtype: spec.dtype,
    members: range.members ?? [0, derivation.members ?? 1],
    inputs: new Map(
      derivation.inputs.map(input => {
        const order = input.source === undefined ? 'C' : input.source.order;
        return [input.name, { order, stacked: isStack && input.members !== undefined }];
      }),
    ),
    chunkBytes: RESULT_CHUNK_BYTES,
  };
}

function slabRequests(deps: BlockDeps, spec: JobSpec, { derivation }: JobPlan, plan: Plan) {
  const inputs = new Map<string, DerivationInput>(derivation.inputs.map(input => [input.name, input]));
  return plan.inputs.map(slab => slabRequest(deps, spec, slab, inputs.get(slab.name)!, spec.dtype));
}

async function computeVerified(
  deps: BlockDeps,
  { spec, index, onExecution }: BlockWork,
  plan: Plan,
  holding: Holding,
): Promise<{ report: ExecutionReport & { seed: number }; execution: Execution }> {
  for (let attempt = 1; ; attempt++) {
    const seed = drawSeed();
    const execution = createExecution(plan, {
      memory: deps.memory,
      threads: deps.threads,
      regionByteOffset: holding.region.byteOffset,
      slabByteOffsets: holding.slabs.map(slab => slab.byteOffset),
      reproducible: spec.reproducible,
      seed,
    });
    onExecution(execution);
    try {
      return { report: { ...(await execution.run()), seed }, execution };
    } catch (error) {
      if (!(error instanceof FrechetError) || error.code !== 'verification-failed') throw error;
      deps.metrics.frechet_verification_failures_total.inc();
      deps.log.error(
        { jobId: spec.id, block: index, attempt, detail: error.message },
        'a block failed verification',
      );
      if (attempt === VERIFICATION_ATTEMPTS) throw error;
    }
  }
}

/** The bytes to store and their digests: the result in shared memory, or the report of a check. */
async function finishResult(
  deps: BlockDeps,
  { spec, plan: jobPlan }: BlockWork,
  plan: Plan,
  { region }: Holding,
  execution: Execution,
): Promise<{ data: Uint8Array; digests: Digests }> {
  const byteOffset = region.byteOffset + plan.result.byteOffset;
  const byteLength = plan.result.bytes;
  const { check } = jobPlan.derivation;
  if (check !== undefined)
    return createCheckReport(spec, check, deps.memory, byteOffset, jobPlan.derivation.members ?? 1);
  if (spec.reproducible && byteLength > 0) {
    const length = byteLength / DTYPES[spec.dtype].bytes;
    await execution.runTask({ kind: 'canonicalise', dtype: spec.dtype, byteOffset, length }, 1);
  }
  const digestsAt = region.byteOffset + plan.digests.byteOffset;
  const digests = await digestData(deps.memory, { byteOffset, byteLength }, digestsAt, execution.runTask);
  return { data: new Uint8Array(deps.memory.buffer, byteOffset, byteLength), digests };
}

function observePhases(metrics: WorkerMetrics, seconds: BlockReceipt['seconds']): void {
  for (const phase of ['load', 'compute', 'verify', 'store'] as const) {
    metrics.frechet_block_phase_seconds.observe({ phase }, seconds[phase]);
  }
}

function secondsSince(start: number): number {
  return (performance.now() - start) / 1000;
}
