// The story of a block: load → plan → compute → verify → store. Everything it needs is decided before it starts,
// everything it holds is given back however it ends, and it may run twice with the effect of once.

import { errorCode } from '../shared/errors.ts';
import type { JobStore } from '../shared/io/job-store.ts';
import type { Logger } from '../shared/io/logger.ts';
import type { WorkerMetrics } from '../shared/io/metrics.ts';
import { blockOutputs, type DerivationInput } from '../shared/job/derivation.ts';
import type { JobPlan } from '../shared/job/job-plan.ts';
import { RESULT_CHUNK_BYTES } from '../shared/job/limits.ts';
import type { BlockReceipt, ErrorBound, PhaseSeconds } from '../shared/job/outcome.ts';
import { type JobSpec, verificationRounds } from '../shared/job/spec.ts';
import { DTYPES } from '../shared/math/dtype.ts';
import { componentwiseFactor } from '../shared/math/magnitude.ts';
import { createCheckReport } from './check-report.ts';
import { type Digests, digestData } from './execute/digests.ts';
import { createExecution, type Execution } from './execute/executor.ts';
import { relate } from './execute/relate.ts';
import type { ExecutionReport } from './execute/run-plan.ts';
import type { GuardedRange } from './execute/task.ts';
import type { ComputeThreads, Threads } from './execute/threads.ts';
import type { KernelName } from './kernels/kernel.ts';
import { type LoadableSlab, type LoadDeps, slabRequest } from './load/load.ts';
import type { ArrayCache, Holding } from './memory/array-cache.ts';
import { lowerProgram, type Program } from './plan/lower.ts';
import { type InputSlab, isBrief, type Plan, type StreamedSlab } from './plan/plan.ts';
import { drawSeed } from './verify/seed.ts';

export interface BlockDeps extends LoadDeps {
  readonly jobs: JobStore;
  readonly cache: ArrayCache;
  readonly threads: ComputeThreads;
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
  /** Aborted with Cancelled where the block is not wanted any more. */
  readonly signal: AbortSignal;
  /** Hears of the running computation, so that it can be asked for its progress. */
  readonly onExecution: (execution: Execution) => void;
}

/**
 * With which kernel a block is computed until it passes the test. The first failure may be the weather; where the job's
 * own kernel fails again, the one of reproducible jobs is asked.
 */
const ATTEMPT_KERNELS = ['own', 'own', 'reproducible'] as const;

/**
 * Computes, verifies and stores one block.
 *
 * @returns its receipt; undefined where another was stored before
 * @throws Cancelled; operand-lost, operand-corrupt, verification-failed, value-not-finite (final); busy and outage kinds
 */
export async function runBlock(deps: BlockDeps, work: BlockWork): Promise<BlockReceipt | undefined> {
  let written: BlockReceipt | undefined;
  await computeBlock(deps, work, async (data, receipt) => {
    const storeStart = performance.now();
    const stored = await deps.jobs.putBlock(work.spec.tenant, work.spec.id, [data], receipt);
    const store = receipt.seconds.store + secondsSince(storeStart);
    observeBlock(deps.metrics, work, stored, { ...receipt.seconds, store }, receipt.kernel);
    if (stored) written = receipt;
  });
  return written;
}

/**
 * Computes and verifies one block and lets `use` have it, in memory that is somebody else's afterwards.
 *
 * @throws what runBlock does, and what `use` throws
 */
export async function computeBlock(
  deps: BlockDeps,
  work: BlockWork,
  use: (data: Uint8Array, receipt: BlockReceipt) => Promise<void>,
): Promise<void> {
  const startedAt = new Date(deps.clock()).toISOString();
  const program = blockProgram(work.spec, work.plan, work.index);
  const plan = lowerProgram(program);
  const threads = isBrief(plan) ? deps.threads.bundled : deps.threads;
  const loadStart = performance.now();
  const requestOf = slabRequests({ ...deps, threads }, work);
  const requests = plan.inputs.map(requestOf);
  const holding = await deps.cache.acquire(plan.regionBytes, requests, work.signal);
  const guards = requests.map(({ guard }, index) => guard(holding.slabs[index]!)); // one slab for each request
  const loadSeconds = secondsSince(loadStart);
  try {
    const computed = await computeVerified(deps, work, { plan, threads, holding, guards, requestOf });
    const storeStart = performance.now();
    const errorBound = await completeBound(work, computed, program, plan, holding);
    const result = await finishResult(deps, work, plan, holding, computed.execution);
    const { computeSeconds: compute, verifySeconds: verify } = computed.report;
    const load = loadSeconds + computed.report.loadSeconds;
    const seconds = { load, compute, verify, store: secondsSince(storeStart) };
    await use(result.data, receiptOf(deps, work, computed, result, { startedAt, seconds, errorBound }));
  } finally {
    holding.release();
  }
}

/** A block about to be computed: its plan, its memory, and what must not change there. */
interface LoadedBlock {
  readonly plan: Plan;
  /** What loads it and computes it. */
  readonly threads: Threads;
  readonly holding: Holding;
  readonly guards: readonly GuardedRange[];
  readonly requestOf: RequestOf;
}

/** A block that passed the test, still in memory. */
interface ComputedBlock {
  readonly execution: Execution;
  readonly report: ExecutionReport;
  readonly kernel: KernelName;
}

interface ResultBytes {
  readonly data: Uint8Array;
  readonly digests: Digests;
}

function receiptOf(
  { clock }: BlockDeps,
  { spec, plan, index }: BlockWork,
  { report, kernel }: ComputedBlock,
  { data, digests }: ResultBytes,
  rest: Pick<BlockReceipt, 'startedAt' | 'seconds' | 'errorBound'>,
): BlockReceipt {
  const { maxError, bound, seeds } = report;
  return {
    index,
    ...plan.block(index),
    bytes: data.byteLength,
    ...digests,
    verification: { method: 'freivalds', rounds: verificationRounds(spec), seeds, maxError, bound },
    kernel,
    flops: String(plan.blockFlops(index)),
    ...rest,
    finishedAt: new Date(clock()).toISOString(),
  };
}

function blockProgram(spec: JobSpec, { derivation, slabLength, block }: JobPlan, index: number): Program {
  const range = block(index);
  const isStack = derivation.members !== undefined;
  return {
    outputs: blockOutputs(derivation, range),
    order: derivation.order,
    dtype: spec.dtype,
    members: range.members ?? [0, derivation.members ?? 1],
    inputs: new Map(
      derivation.inputs.map(input => {
        const { order, dtype } = input.source ?? { order: 'C', dtype: spec.dtype };
        return [input.name, { order, dtype, stacked: isStack && input.members !== undefined }];
      }),
    ),
    slabLength,
    chunkBytes: RESULT_CHUNK_BYTES,
  };
}

type RequestOf = (slab: InputSlab) => LoadableSlab;

function slabRequests(deps: LoadDeps, { spec, plan: { derivation } }: BlockWork): RequestOf {
  const inputs = new Map<string, DerivationInput>(derivation.inputs.map(input => [input.name, input]));
  return slab => slabRequest(deps, spec, slab, inputs.get(slab.name)!, spec.dtype);
}

/** Computes until the test is passed. @throws verification-failed where no attempt passes it; unavailable where its operands have changed */
async function computeVerified(
  deps: BlockDeps,
  work: BlockWork,
  loaded: LoadedBlock,
): Promise<ComputedBlock> {
  let failure: unknown;
  for (const [index, choice] of ATTEMPT_KERNELS.entries()) {
    const reproducible = work.spec.reproducible || choice === 'reproducible';
    try {
      return await computeOnce(deps, work, loaded, reproducible);
    } catch (error) {
      const code = errorCode(error);
      if (code !== 'verification-failed' && code !== 'unavailable') throw error;
      failure = error;
      const { spec, index: block } = work;
      deps.metrics.frechet_verification_failures_total.inc();
      const kernel = kernelName(deps, reproducible);
      const about = { jobId: spec.id, block, attempt: index + 1, kernel, err: error };
      deps.log.error(about, 'a block failed verification');
      if (code === 'verification-failed') continue;
      // Its operands are not what they were: whoever tries next reads them again.
      loaded.holding.forget();
      throw error;
    }
  }
  throw failure;
}

async function computeOnce(
  deps: BlockDeps,
  work: BlockWork,
  { plan, threads, holding, guards, requestOf }: LoadedBlock,
  reproducible: boolean,
): Promise<ComputedBlock> {
  const loadStreamed = async ({ slab, byteOffset, bytes }: StreamedSlab) => {
    const { load, guard } = requestOf(slab);
    const slot = { byteOffset: holding.region.byteOffset + byteOffset, byteLength: bytes };
    await load(slot);
    return [guard(slot)];
  };
  const execution = createExecution(plan, {
    memory: deps.memory,
    threads,
    regionByteOffset: holding.region.byteOffset,
    slabByteOffsets: holding.slabs.map(slab => slab.byteOffset),
    guards,
    loadStreamed,
    reproducible,
    rounds: verificationRounds(work.spec),
    drawSeed,
  });
  work.onExecution(execution);
  const report = await runCancellable(execution, work.signal);
  return { execution, report, kernel: kernelName(deps, reproducible) };
}

function kernelName({ kernels }: BlockDeps, reproducible: boolean): KernelName {
  return reproducible ? kernels.reproducible : kernels.fastest;
}

/** The signal is heard no longer than the computation runs: afterwards its cancel word is somebody else's memory. */
async function runCancellable(execution: Execution, signal: AbortSignal): Promise<ExecutionReport> {
  signal.throwIfAborted();
  signal.addEventListener('abort', execution.cancel, { once: true });
  try {
    return await execution.run();
  } finally {
    signal.removeEventListener('abort', execution.cancel);
  }
}

/** The bound of the whole block, and, where it was asked for, of each element by the magnitude that was computed beside it. */
async function completeBound(
  { spec }: BlockWork,
  { execution, report: { errorBound } }: ComputedBlock,
  { outputs: [root, magnitude], dtype }: Program,
  { result, outputBytes: [bytes = 0] }: Plan,
  { region }: Holding,
): Promise<ErrorBound | null> {
  if (errorBound === undefined) return null;
  if (root === undefined || spec.errorBound !== 'componentwise') return errorBound;
  const byteOffset = region.byteOffset + result.byteOffset;
  const magnitudesAt = magnitude === undefined ? byteOffset : byteOffset + bytes;
  const place = { dtype, byteOffset, magnitudesAt, length: bytes / DTYPES[dtype].bytes };
  const { largest, largestRelative } = await relate(place, execution.runTask);
  const factor = componentwiseFactor(root, dtype);
  const [absolute, relative] = [factor * largest, factor * largestRelative];
  if (!Number.isFinite(absolute)) return errorBound;
  return {
    ...errorBound,
    componentwise: { absolute, relative: Number.isFinite(relative) ? relative : null },
  };
}

/** The bytes to store and their digests: the result in shared memory, or the report of a check. */
async function finishResult(
  deps: BlockDeps,
  { spec, plan: jobPlan }: BlockWork,
  plan: Plan,
  { region }: Holding,
  execution: Execution,
): Promise<ResultBytes> {
  const byteOffset = region.byteOffset + plan.result.byteOffset;
  const [byteLength = 0] = plan.outputBytes;
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

/** Counts a block that has been stored, or was there already. */
export function observeBlock(
  metrics: WorkerMetrics,
  { spec, plan, index }: Pick<BlockWork, 'spec' | 'plan' | 'index'>,
  stored: boolean,
  seconds: PhaseSeconds,
  kernel: string,
): void {
  metrics.frechet_blocks_finished_total.inc({ outcome: stored ? 'stored' : 'present' });
  metrics.frechet_flops_total.inc({ kernel, dtype: spec.dtype }, Number(plan.blockFlops(index)));
  for (const phase of ['load', 'compute', 'verify', 'store'] as const)
    metrics.frechet_block_phase_seconds.observe({ phase }, seconds[phase]);
}

function secondsSince(start: number): number {
  return (performance.now() - start) / 1000;
}
