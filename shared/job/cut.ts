// How a result is cut into blocks: runs of whole members of a stack, or, where one member is too much for a block,
// runs of its lines (rows; of a Jacobian, columns). From the spec and its recorded limits alone. Pure.

import { assert } from '../assert.ts';
import { FrechetError } from '../errors.ts';
import type { Range } from '../math/graph.ts';
import { type BlockCost, chooseBlocks, type Extent } from './block-size.ts';
import { type Derivation, resultShape } from './derivation.ts';
import { JOB_FLOPS_MAX } from './limits.ts';
import type { BlockRange } from './outcome.ts';
import type { JobSpec } from './spec.ts';

export interface Cut {
  readonly flops: bigint;
  readonly blocksTotal: number;
  /** The largest working set of a block. */
  readonly peakBytes: number;
  /** Elements of the inner dimension in a slab of what is streamed; undefined where nothing is. */
  readonly slabLength: number | undefined;
  block(index: number): BlockRange;
  blockFlops(index: number): bigint;
}

/** @throws job-too-large: flops, blocks, or working set */
export function cutBlocks(spec: JobSpec, derivation: Derivation): Cut {
  const whole = wholeExtent(derivation);
  const { size, costOf, slabLength } = chooseBlocks(spec, derivation, whole);
  const { peakBytes } = costOf(size);
  const limit = spec.blockLimits.workingSetBytes;
  if (peakBytes > BigInt(limit))
    throw tooLarge('the working set of the smallest block, in bytes', limit, peakBytes);
  return { ...describeCut(derivation, whole, size, costOf), slabLength };
}

function wholeExtent(derivation: Derivation): Extent {
  const { rows, cols } = resultShape(derivation);
  return { members: derivation.members ?? 1, lines: derivation.order === 'F' ? cols : rows };
}

function describeCut(
  derivation: Derivation,
  whole: Extent,
  size: Extent,
  costOf: (extent: Extent) => BlockCost,
): Omit<Cut, 'slabLength'> {
  const perMember = Math.max(1, Math.ceil(whole.lines / Math.max(1, size.lines)));
  const groups = Math.max(1, Math.ceil(whole.members / Math.max(1, size.members)));
  const blocksTotal = groups * perMember;

  function place(index: number): { members: Range; lines: Range } {
    assert(Number.isInteger(index) && 0 <= index && index < blocksTotal, 'a job has a block of this index');
    return {
      members: run(Math.floor(index / perMember), size.members, whole.members),
      lines: run(index % perMember, size.lines, whole.lines),
    };
  }

  function blockFlops(index: number): bigint {
    const { members, lines } = place(index);
    return costOf({ members: members[1] - members[0], lines: lines[1] - lines[0] }).flops;
  }

  // All blocks are equal, but for the last line run of a member and the last member run.
  const lastGroup = (groups - 1) * perMember;
  const flopsOfGroup = (first: number) =>
    BigInt(perMember - 1) * blockFlops(first) + blockFlops(first + perMember - 1);
  const flops = BigInt(groups - 1) * flopsOfGroup(0) + flopsOfGroup(lastGroup);
  if (flops > JOB_FLOPS_MAX) throw tooLarge('the flops of the job', JOB_FLOPS_MAX, flops);
  return {
    flops,
    blocksTotal,
    peakBytes: Number(costOf(size).peakBytes),
    block: index => blockRange(derivation, whole, place(index)),
    blockFlops,
  };
}

function run(index: number, size: number, total: number): Range {
  return [Math.min(index * size, total), Math.min((index + 1) * size, total)];
}

/** Columns are those of the whole Jacobian, also where only a range of them was asked for. */
function blockRange(
  { members: isStack, order, columns, check }: Derivation,
  whole: Extent,
  { members, lines }: { members: Range; lines: Range },
): BlockRange {
  if (check !== undefined) return {};
  const [start] = columns;
  const within: BlockRange =
    order === 'F' ? { columns: [start + lines[0], start + lines[1]] } : { rows: lines };
  if (isStack === undefined) return within;
  const isWholeMember = lines[0] === 0 && lines[1] === whole.lines;
  return isWholeMember ? { members } : { members, ...within };
}

function tooLarge(what: string, limit: number | bigint, requested: bigint): FrechetError {
  const context = { limit: exact(BigInt(limit)), requested: exact(requested) };
  return new FrechetError('job-too-large', `${what} is ${requested}, the limit is ${limit}`, context);
}

/** A decimal string where a float64 would round. */
function exact(value: bigint): number | string {
  return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : String(value);
}
