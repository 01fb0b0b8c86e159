// What the steps of a sum are: one adds everything, unless factors of products are streamed; then there is one for each
// of their slabs.

import type { Dtype } from '../../shared/math/dtype.ts';
import type { NodeOf, Range } from '../../shared/math/graph.ts';
import {
  innerLength,
  type LeafFactor,
  type StreamedFactors,
  type Streaming,
  slabRegion,
  slabsOf,
} from '../../shared/math/streams.ts';
import { sliceView, transposeView } from '../../shared/math/view.ts';
import type { Draft, Drafting, DraftTerm } from './draft.ts';
import type { Program } from './lower.ts';
import type { InputSlab } from './plan.ts';
import { inputSlab, layoutOf, viewOfSlab } from './slabs.ts';
import { flopsOf, type Summand } from './sums.ts';
import { roundTo, termOf, type ViewOf } from './terms.ts';

interface Context {
  readonly program: Program;
  readonly streaming: Streaming;
  readonly viewOf: ViewOf;
}

/** Where slabs will lie when a step reads them. */
type Places = ReturnType<Drafting['stream']>;

/** What a sum is computed of: a summand, or a slab's part of one. */
export interface Part {
  readonly isProduct: boolean;
  /** What is loaded for it, and the dtype in which that is stored. */
  readonly slabs: readonly (readonly [slab: InputSlab, stored: Dtype])[];
  /** Of one member. */
  readonly flops: bigint;
  term(places: Places): DraftTerm;
}

/**
 * The steps of a sum: one, but no more than one part of each streams. What is no product is added first anyway
 * (execute/combine.ts), and products keep their order, so that an element is the same sum however many steps there are.
 */
export function stepsOf(parts: readonly Part[]): Part[][] {
  const isStreaming = ({ slabs }: Part) => slabs.length > 0;
  const steps = [parts.filter(({ isProduct }) => !isProduct)];
  for (const part of parts.filter(({ isProduct }) => isProduct)) {
    const last = steps.at(-1)!; // there is one from the start
    if (isStreaming(part) && last.some(isStreaming)) steps.push([part]);
    else last.push(part);
  }
  return steps;
}

export function partsOf(context: Context, summand: Summand): Part[] {
  const { program, streaming, viewOf } = context;
  const { node, opened } = summand;
  const isProduct = opened && node.primitive === 'matmul';
  const factors = streaming.products.get(node);
  if (isProduct && factors !== undefined) return streamedParts(context, node, summand.coefficient, factors);
  const flops = opened ? flopsOf(node) : 0n;
  return [{ isProduct, slabs: [], flops, term: () => termOf(summand, program.dtype, viewOf) }];
}

function streamedParts(
  { program, streaming, viewOf }: Context,
  product: NodeOf<'matmul'>,
  coefficient: number,
  { left, right }: StreamedFactors,
): Part[] {
  const length = innerLength(product);
  const alpha = roundTo(program.dtype, coefficient);
  const flopsUntil = (stop: number) => (flopsOf(product) * BigInt(stop)) / BigInt(length);
  return [...slabsOf(length, streaming.slabLength)].map((range): Part => {
    const [a, b] = [
      streamedFactor(program, left, 'left', range),
      streamedFactor(program, right, 'right', range),
    ];
    return {
      isProduct: true,
      slabs: [a, b].filter(factor => factor !== undefined).map(({ slab, stored }) => [slab, stored]),
      flops: flopsUntil(range[1]) - flopsUntil(range[0]),
      term(places) {
        const [first, second] = product.inputs;
        const rest = [...places];
        return {
          kind: 'product',
          alpha,
          a: a?.view(rest.shift()!) ?? columnsOf(viewOf(first), range),
          b: b?.view(rest.shift()!) ?? rowsOf(viewOf(second), range),
        };
      },
    };
  });
}

/** A slab of a factor that lies in an input; undefined for any other. */
function streamedFactor(
  { inputs, members }: Program,
  factor: LeafFactor | undefined,
  side: 'left' | 'right',
  range: Range,
) {
  if (factor === undefined) return undefined;
  const layout = layoutOf(inputs, factor.input);
  const slab = inputSlab(factor.input, slabRegion(factor, side, range), layout, members);
  const view = (place: Places[number]): Draft => {
    const whole = viewOfSlab(slab);
    const { memberStride } = slab;
    return { ...(factor.isTransposed ? transposeView(whole) : whole), memberStride, ...place };
  };
  return { slab, stored: layout.dtype, view };
}

function columnsOf(draft: Draft, [start, stop]: Range): Draft {
  return { ...draft, ...sliceView(draft, 0, draft.rows, start, stop) };
}

function rowsOf(draft: Draft, [start, stop]: Range): Draft {
  return { ...draft, ...sliceView(draft, start, stop, 0, draft.cols) };
}
