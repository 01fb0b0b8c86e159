// How large a block is: as much of the result as its limits on arithmetic, bytes and memory allow. Where operands leave
// too little room for that, they are streamed in slabs of the inner dimension. From the spec alone. Pure.

import { cost } from '../math/cost.ts';
import { DTYPES } from '../math/dtype.ts';
import { topologicalOrder } from '../math/graph.ts';
import { findStreaming, innerLength, SLAB_GRAIN } from '../math/streams.ts';
import { blockOutputs, type Derivation, resultShape } from './derivation.ts';
import { JOB_BLOCKS_MAX } from './limits.ts';
import type { BlockLimits, JobSpec } from './spec.ts';
import { bytesBesideMatrices } from './working-set.ts';

/** Members and lines of a block, or of the whole result. */
export interface Extent {
  readonly members: number;
  readonly lines: number;
}

export interface BlockCost {
  readonly flops: bigint;
  readonly bytes: bigint;
  readonly peakBytes: bigint;
}

/** A size of blocks, what they cost, and how long the slabs are that they stream. */
export interface Choice {
  readonly size: Extent;
  readonly slabLength: number | undefined;
  costOf(extent: Extent): BlockCost;
}

/** How large the blocks of a job are; beyond its limits where even the smallest is. */
export function chooseBlocks(spec: JobSpec, derivation: Derivation, whole: Extent): Choice {
  const costOf = memoised(extent => blockCost(spec, derivation, extent));
  const resident = { slabLength: undefined, costOf };
  // Numbers of a check are drawn by their place in the whole of a matrix.
  if (derivation.check !== undefined) return { ...resident, size: whole };
  const size = chooseExtent(spec.blockLimits, whole, costOf);
  const isHeld = costOf(size).peakBytes <= BigInt(spec.blockLimits.workingSetBytes);
  const roomy = { ...spec.blockLimits, workingSetBytes: Number.MAX_SAFE_INTEGER };
  if (isHeld && sameExtent(size, chooseExtent(roomy, whole, costOf))) return { ...resident, size };
  const streamed = chooseStreamed(spec, derivation, whole);
  if (streamed === undefined) return { ...resident, size };
  const isGain = linesOf(streamed.size) >= STREAMED_GAIN_MIN * linesOf(size);
  return isHeld && !isGain ? { ...resident, size } : streamed;
}

/** Operands that are streamed are read again for every block, so blocks must become so many times as large by it … */
const STREAMED_GAIN_MIN = 2;
/** … for which they may have so many times the arithmetic of others … */
const STREAMED_FLOPS_FACTOR = 4n;
/** … but one's first slabs should be loaded while another computes. */
const STREAMED_BLOCKS_AT_ONCE = 2;
/** A slab of fewer lines, or for fewer lines, costs as much to move and to verify as to multiply. */
const STREAMED_SIDE_MIN = 256;

/**
 * The slab length with the best blocks. A line of an operand is moved once for each block, and one of C moved and
 * verified once for each slab, so what is gained of a slab ends with the lines of C, and the other way round: it is the
 * smaller of the two that should be large.
 */
function chooseStreamed(spec: JobSpec, derivation: Derivation, whole: Extent): Choice | undefined {
  for (const blocksAtOnce of [STREAMED_BLOCKS_AT_ONCE, 1]) {
    const limits = {
      ...spec.blockLimits,
      flops: String(STREAMED_FLOPS_FACTOR * BigInt(spec.blockLimits.flops)),
      workingSetBytes: Math.floor(spec.blockLimits.workingSetBytes / blocksAtOnce),
    };
    const best = bestSlabs(spec, limits, derivation, whole);
    if (best !== undefined && (blocksAtOnce === 1 || sideOf(best) >= STREAMED_SIDE_MIN)) return best;
  }
  return undefined;
}

function bestSlabs(
  spec: JobSpec,
  limits: BlockLimits,
  derivation: Derivation,
  whole: Extent,
): Choice | undefined {
  let best: Choice | undefined;
  for (let slabLength = longestSlab(derivation); slabLength >= SLAB_GRAIN; slabLength /= 2) {
    // From here on they are shorter than the best is, by whichever side.
    if (best !== undefined && slabLength <= sideOf(best)) break;
    const costOf = memoised(extent => blockCost(spec, derivation, extent, slabLength));
    const size = chooseExtent(limits, whole, costOf);
    const choice = { size, slabLength, costOf };
    if (costOf(size).peakBytes > BigInt(limits.workingSetBytes)) continue;
    if (best === undefined || sideOf(choice) > sideOf(best)) best = choice;
  }
  return best;
}

/** Half of the longest inner dimension or more, in grains a power of two. 0 where no product is longer than a grain. */
function longestSlab({ outputs }: Derivation): number {
  const lengths = topologicalOrder(outputs).map(node =>
    node.primitive === 'matmul' ? innerLength(node) : 0,
  );
  const grains = Math.max(0, ...lengths) / SLAB_GRAIN;
  return grains > 1 ? SLAB_GRAIN * 2 ** (Math.ceil(Math.log2(grains)) - 1) : 0;
}

function sideOf({ size, slabLength = 0 }: Choice): number {
  return Math.min(size.lines, slabLength);
}

function linesOf({ members, lines }: Extent): number {
  return members * lines;
}

function sameExtent(a: Extent, b: Extent): boolean {
  return a.members === b.members && a.lines === b.lines;
}

/** Cost of the first members and lines: all blocks of one extent cost the same. */
function blockCost(
  spec: JobSpec,
  derivation: Derivation,
  { members, lines }: Extent,
  slabLength?: number,
): BlockCost {
  const { rows, cols } = resultShape(derivation);
  const [start] = derivation.columns;
  const isColumns = derivation.order === 'F';
  const outputs = blockOutputs(
    derivation,
    isColumns ? { columns: [start, start + lines] } : { rows: [0, lines] },
  );
  const elements = BigInt(members) * BigInt(lines) * BigInt(isColumns ? rows : cols);
  const streaming = findStreaming(outputs, slabLength);
  const { flops, peakBytes } = cost(outputs, members, spec.dtype, streaming);
  const beside = bytesBesideMatrices(outputs, derivation.inputs, members, spec.dtype, streaming);
  return {
    flops,
    bytes: elements * BigInt(DTYPES[spec.dtype].bytes),
    peakBytes: peakBytes + beside,
  };
}

function chooseExtent(limits: BlockLimits, whole: Extent, costOf: (extent: Extent) => BlockCost): Extent {
  if (whole.members === 0) return whole;
  const member = { members: 1, lines: whole.lines };
  const holds = (extent: Extent, empty: Extent) => fits(limits, costOf(extent), costOf(empty));
  // Of more members than there may be blocks, a block holds whole ones, however large.
  if (whole.members > JOB_BLOCKS_MAX || holds(member, { members: 1, lines: 0 })) {
    const size = largest(whole.members, members => holds({ ...member, members }, { ...member, members: 0 }));
    return { members: even(whole.members, size, JOB_BLOCKS_MAX), lines: whole.lines };
  }
  const size = largest(whole.lines, lines => holds({ members: 1, lines }, { members: 1, lines: 0 }));
  return { members: 1, lines: even(whole.lines, size, Math.floor(JOB_BLOCKS_MAX / whole.members)) };
}

/** A block may spend this many times what every block spends whatever its size, so that repeating it is outweighed. */
const SHARED_FLOPS_FACTOR = 4n;

function fits(limits: BlockLimits, block: BlockCost, empty: BlockCost): boolean {
  const target = BigInt(limits.flops);
  const shared = SHARED_FLOPS_FACTOR * empty.flops;
  return (
    block.flops - empty.flops <= (shared > target ? shared : target) &&
    block.bytes <= BigInt(limits.bytes) &&
    block.peakBytes <= BigInt(limits.workingSetBytes)
  );
}

/** The largest size in [1, total] that holds, or 1; what holds for a size holds for all smaller ones. */
function largest(total: number, holds: (size: number) => boolean): number {
  let [low, high] = [1, Math.max(1, total)];
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (holds(middle)) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** Sizes of about `size` that are nearly equal, so that the last is no sliver, and at most `countMax` of them. */
function even(total: number, size: number, countMax: number): number {
  const count = Math.min(Math.ceil(total / size), countMax);
  return Math.max(1, Math.ceil(total / Math.max(1, count)));
}

function memoised(compute: (extent: Extent) => BlockCost): (extent: Extent) => BlockCost {
  const known = new Map<string, BlockCost>();
  return extent => {
    const key = `${extent.members} ${extent.lines}`;
    const found = known.get(key) ?? compute(extent);
    known.set(key, found);
    return found;
  };
}
