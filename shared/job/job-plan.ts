// What a job will be, from its spec alone: shapes, cost, and the cut into blocks. A pure function, so that a gateway,
// every worker and a reconciler years later agree on what block 17 is.

import { FrechetError } from '../errors.ts';
import { type DerivativeDescription, describeDerivative } from '../math/derive.ts';
import { DTYPES, type Dtype } from '../math/dtype.ts';
import type { Order } from '../math/view.ts';
import { cutBlocks } from './cut.ts';
import { type Derivation, deriveJob, resultShape } from './derivation.ts';
import { RESULT_BYTES_MAX } from './limits.ts';
import type { BlockRange } from './outcome.ts';
import type { JobSpec } from './spec.ts';

export interface PlannedResult {
  /** Null where the result is no array (a check). */
  readonly shape: readonly number[] | null;
  readonly dtype: Dtype | null;
  readonly order: Order | null;
  /** Of the elements alone; null where only the end tells. */
  readonly dataBytes: number | null;
}

export interface JobPlan {
  readonly derivation: Derivation;
  readonly derivative: DerivativeDescription;
  /** Rows and columns of every name, and of `F`, the value of the expression. */
  readonly shapes: Readonly<Record<string, readonly [number, number]>>;
  readonly result: PlannedResult;
  readonly flops: bigint;
  readonly blocksTotal: number;
  /** The largest working set of a block. */
  readonly peakBytes: number;
  /** Elements of the inner dimension in a slab of what is streamed; undefined where nothing is. */
  readonly slabLength: number | undefined;
  /** Which piece of the result block `index` is. */
  block(index: number): BlockRange;
  blockFlops(index: number): bigint;
}

/**
 * @throws job-too-large, with `limit` and `requested`: result bytes, flops, blocks, or working set
 */
export function planJob(spec: JobSpec): JobPlan {
  const derivation = deriveJob(spec);
  const result = planResult(spec, derivation);
  const cut = cutBlocks(spec, derivation);
  const { value } = derivation;
  const shapes = Object.entries(spec.operands).map(
    ([name, { shape }]) => [name, [shape.rows, shape.cols]] as const,
  );
  let description: DerivativeDescription | undefined;
  return {
    derivation,
    // Workers never ask, and it costs more than everything else here.
    get derivative() {
      description ??= describeDerivative(value, spec.wrt);
      return description;
    },
    shapes: Object.fromEntries([...shapes, ['F', [value.shape.rows, value.shape.cols]]]),
    result,
    flops: cut.flops,
    blocksTotal: cut.blocksTotal,
    peakBytes: cut.peakBytes,
    slabLength: cut.slabLength,
    block: index => cut.block(index),
    blockFlops: index => cut.blockFlops(index),
  };
}

function planResult(spec: JobSpec, derivation: Derivation): PlannedResult {
  if (derivation.check !== undefined) return { shape: null, dtype: null, order: null, dataBytes: null };
  const { rows, cols } = resultShape(derivation);
  const shape = derivation.members === undefined ? [rows, cols] : [derivation.members, rows, cols];
  const elements = shape.reduce((product, side) => product * BigInt(side), 1n);
  const bytes = elements * BigInt(DTYPES[spec.dtype].bytes);
  if (bytes > BigInt(RESULT_BYTES_MAX)) {
    throw new FrechetError('job-too-large', 'the result has more bytes than allowed', {
      limit: RESULT_BYTES_MAX,
      requested: String(bytes),
    });
  }
  return { shape, dtype: spec.dtype, order: derivation.order, dataBytes: Number(bytes) };
}
