// What a block will do, decided before it starts: which slabs it loads, which steps it takes, where everything lies
// in its region. A plan holds no address of the arena; `bind` makes tasks of it once the memory is reserved.

import { DTYPES, type Dtype } from '../../shared/math/dtype.ts';
import type { Range, Role } from '../../shared/math/graph.ts';
import type { StackView, Term } from '../execute/task.ts';

/** A view in one of the block's spaces: REGION, or the index of an input's slab. Offsets count from the space's start. */
export interface Placed extends StackView {
  readonly space: number;
}

export const REGION = -1;

/** C ← Σ terms. */
export interface CombineStep {
  readonly kind: 'combine';
  readonly members: number;
  readonly c: Placed;
  readonly terms: readonly Term<Placed>[];
  /** Flops of all members. */
  readonly flops: bigint;
  /** Where Freivalds' test keeps its float64 vectors; absent where no term is a product. */
  readonly proof?: ProofSpace;
}

/**
 * Byte offsets in the region: x of as many signs as C has columns or rows, whichever are more, and as many ones; and for
 * each product y and z of k elements, for each member that has a factor of its own.
 */
export interface ProofSpace {
  readonly x: number;
  readonly images: readonly { readonly y: number; readonly z: number }[];
}

export interface InnerStep {
  readonly kind: 'inner';
  readonly members: number;
  readonly c: Placed;
  readonly a: Placed;
  readonly b: Placed;
  readonly flops: bigint;
}

export type Step = CombineStep | InnerStep;

/** A piece of an input that a block reads: one matrix, or members [start, stop) of a stack. Its index is its space. */
export interface InputSlab {
  readonly name: string;
  readonly role: Role;
  readonly rows: Range;
  readonly cols: Range;
  /** Present where the input is a stack. */
  readonly members?: Range;
  /** Elements from (i, j) to its neighbours in the slab, and from member to member. */
  readonly rowStride: number;
  readonly colStride: number;
  readonly memberStride: number;
  readonly elements: number;
}

/** A piece of an input that one step reads, loaded into the region while the step before is computed. */
export interface StreamedSlab {
  readonly slab: InputSlab;
  /** Index of the step. */
  readonly step: number;
  /** Byte offset in the region, and how many bytes are its own there (slab-layout.ts). */
  readonly byteOffset: number;
  readonly bytes: number;
}

export interface Plan {
  readonly dtype: Dtype;
  /** What is in memory from the first step to the last. */
  readonly inputs: readonly InputSlab[];
  /** In the order of their steps. */
  readonly streamed: readonly StreamedSlab[];
  /** Numbers written into the region before the first step, and how far each is from what it stands for; offsets in elements. */
  readonly constants: readonly {
    readonly offset: number;
    readonly value: number;
    readonly error?: number;
  }[];
  readonly steps: readonly Step[];
  readonly regionBytes: number;
  /** Where the outputs lie in the region, one after the other, each with all its members. */
  readonly result: { readonly byteOffset: number; readonly bytes: number };
  /** Of each output. */
  readonly outputBytes: readonly number[];
  /** Two 32-bit words, the cancel word and the next tile. Byte offset in the region. */
  readonly control: number;
  /** Room for the digests of the result. Byte offset in the region. */
  readonly digests: { readonly byteOffset: number; readonly bytes: number };
  readonly flops: bigint;
}

/** A millisecond or so of one thread. */
const BRIEF_FLOPS_MAX = 2n ** 24n;
/** Computing, proving and digesting read what lies in memory up to eight times: another millisecond. */
const BRIEF_BYTES_MAX = 2 ** 21;

/** Whether one thread runs a plan sooner than all share it: each of its steps, and each proof of one, is a message to every thread and back. */
export function isBrief({ dtype, flops, inputs, streamed, regionBytes }: Plan): boolean {
  const inputBytes = inputs.reduce((sum, { elements }) => sum + elements * DTYPES[dtype].bytes, 0);
  return flops <= BRIEF_FLOPS_MAX && inputBytes + regionBytes <= BRIEF_BYTES_MAX && streamed.length === 0;
}
