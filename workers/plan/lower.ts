// From a graph to a plan: sums of products, scaled matrices and Kronecker columns become one combine step each,
// transposes and slices become views, and buffers share memory where their lifetimes allow it.

import { assert } from '../../shared/assert.ts';
import { DTYPES, type Dtype } from '../../shared/math/dtype.ts';
import {
  type InputNode,
  type Node,
  type NodeOf,
  type Range,
  type Region,
  topologicalOrder,
} from '../../shared/math/graph.ts';
import { findStreaming, type Streaming } from '../../shared/math/streams.ts';
import { denseView, type Order, sliceView, transposeView } from '../../shared/math/view.ts';
import { type Buffer, createDrafting, type Draft, type Drafting } from './draft.ts';
import { partsOf, stepsOf } from './parts.ts';
import type { InputSlab, Plan } from './plan.ts';
import { type InputLayout, planSlabs, slabOf, viewOfSlab, wholeRegion } from './slabs.ts';
import { analyseSums, flopsOf, isStep, structureOf } from './sums.ts';
import { copyOf } from './terms.ts';

/** What one block computes. */
export interface Program {
  /** One matrix (of each member), or several 1×1 numbers. */
  readonly outputs: readonly Node[];
  readonly order: Order;
  readonly dtype: Dtype;
  /** Members [start, stop) of every stacked input; [0, 1) where there is no stack. */
  readonly members: Range;
  readonly inputs: ReadonlyMap<string, InputLayout>;
  /** Products with a longer inner dimension read their factors in slabs of this length; undefined: everything lies in memory. */
  readonly slabLength?: number | undefined;
  /** The result is digested in pieces of this size. */
  readonly chunkBytes: number;
}

interface Lowering {
  readonly program: Program;
  readonly streaming: Streaming;
  readonly slabs: readonly InputSlab[];
  readonly drafting: Drafting;
  readonly sums: ReturnType<typeof analyseSums>;
  /** Nodes whose value differs from member to member. */
  readonly stacked: ReadonlySet<Node>;
  readonly located: Map<Node, Draft>;
  readonly result: Buffer;
}

/** The plan of a program. Pure; the same program always has the same plan. */
export function lowerProgram(program: Program): Plan {
  const { outputs, dtype } = program;
  const streaming = findStreaming(outputs, program.slabLength);
  const slabs = planSlabs(outputs, streaming, program.inputs, program.members);
  const members = program.members[1] - program.members[0];
  const drafting = createDrafting(dtype, members);
  const outputBytes = outputs.map(({ shape }) => shape.rows * shape.cols * members * DTYPES[dtype].bytes);
  const result = drafting.buffer(outputBytes.reduce((sum, bytes) => sum + bytes, 0));
  const stacked = findStacked(program);
  const lowering = {
    program,
    streaming,
    slabs,
    drafting,
    sums: analyseSums(outputs, dtype, streaming),
    stacked,
    located: new Map(),
    result,
  };
  for (const node of lowering.sums.demanded) lowering.located.set(node, locate(lowering, node));
  for (const [index, node] of outputs.entries()) placeOutput(lowering, node, index);
  return drafting.finish(slabs, result, outputBytes, program.chunkBytes);
}

function findStacked({ outputs, inputs }: Program): ReadonlySet<Node> {
  const stacked = new Set<Node>();
  for (const node of topologicalOrder(outputs)) {
    const isStackedInput = node.primitive === 'input' && inputs.get(node.params.name)?.stacked === true;
    if (isStackedInput || node.inputs.some(input => stacked.has(input))) stacked.add(node);
  }
  return stacked;
}

/** A view of the value of a demanded node; emits the step that computes it. Its inputs have been located before. */
function locate(lowering: Lowering, node: Node): Draft {
  if (isStep(node)) return combine(lowering, node);
  switch (node.primitive) {
    case 'input':
      return inputView(lowering, node, wholeRegion(node));
    case 'constant':
      return lowering.drafting.constant(node.params);
    case 'transpose': {
      const draft = viewOf(lowering, node.inputs[0]);
      return { ...draft, ...transposeView(draft) };
    }
    case 'slice':
      return slice(lowering, node);
    case 'vec':
      return vec(lowering, node.inputs[0]);
    case 'inner': {
      const target = newMatrix(lowering, node, 'C');
      const [a, b] = [viewOf(lowering, node.inputs[0]), viewOf(lowering, node.inputs[1])];
      lowering.drafting.inner(target, a, b, flopsOf(node));
      return target;
    }
    default:
      assert(false, `a plan has a step for ${node.primitive}`);
  }
}

function viewOf(lowering: Lowering, node: Node): Draft {
  const draft = lowering.located.get(node);
  assert(draft !== undefined, 'the value of an operand is located before its user');
  return draft;
}

/** A region of an input, within the slab that holds it. */
function inputView({ slabs }: Lowering, input: InputNode, { rows, cols }: Region): Draft {
  const home = slabOf(slabs, input, { rows, cols });
  const slab = slabs[home]!;
  const [top, left] = [slab.rows[0], slab.cols[0]];
  return {
    ...sliceView(viewOfSlab(slab), rows[0] - top, rows[1] - top, cols[0] - left, cols[1] - left),
    memberStride: slab.memberStride,
    home,
  };
}

function slice(lowering: Lowering, node: NodeOf<'slice'>): Draft {
  const [input] = node.inputs;
  const { rows, cols } = node.params;
  if (input.primitive === 'input') return inputView(lowering, input, { rows, cols });
  const draft = viewOf(lowering, input);
  return { ...draft, ...sliceView(draft, rows[0], rows[1], cols[0], cols[1]) };
}

/** vec(X) reads X column by column: a view where X lies that way, otherwise a copy that does. */
function vec(lowering: Lowering, x: Node): Draft {
  const draft = viewOf(lowering, x);
  const isColumnMajor =
    (draft.rowStride === 1 || draft.rows <= 1) && (draft.colStride === draft.rows || draft.cols <= 1);
  const source = isColumnMajor ? draft : newMatrix(lowering, x, 'F');
  if (!isColumnMajor) lowering.drafting.combine(source, [copyOf(draft)], 0n);
  return { ...source, ...denseView(draft.rows * draft.cols, 1, source.offset, 'F') };
}

function combine(lowering: Lowering, node: Node): Draft {
  const { drafting, program, streaming, sums } = lowering;
  const summands = sums.summandsOf(node);
  const isColumnMajor = summands.some(({ node: part, opened }) => opened && structureOf(part) !== undefined);
  const order = isColumnMajor ? 'F' : 'C';
  const index = program.outputs.indexOf(node);
  const target = index >= 0 ? outputView(lowering, index) : newMatrix(lowering, node, order);
  const additions = BigInt(summands.length - 1) * BigInt(target.rows) * BigInt(target.cols);
  const context = { program, streaming, viewOf: (part: Node) => viewOf(lowering, part) };
  const steps = stepsOf(summands.flatMap(summand => partsOf(context, summand)));
  // Partial sums lie in two places in turn, since no step may read what it writes; the last is the sum.
  const other = steps.length > 1 ? newMatrix(lowering, node, order) : target;
  const placeAfter = (step: number) => ((steps.length - 1 - step) % 2 === 0 ? target : other);
  for (const [step, parts] of steps.entries()) {
    const before = step === 0 ? [] : [copyOf(placeAfter(step - 1))];
    const terms = parts.map(({ slabs, term }) => term(slabs.length === 0 ? [] : drafting.stream(slabs)));
    const flops = parts.reduce((sum, part) => sum + part.flops, step === 0 ? additions : 0n);
    drafting.combine(placeAfter(step), [...before, ...terms], flops);
  }
  return target;
}

/** Where output `index` lies: behind all members of those before it, its own one after the other. */
function outputView({ program, result, stacked }: Lowering, index: number): Draft {
  const members = program.members[1] - program.members[0];
  const sizes = program.outputs.map(({ shape }) => shape.rows * shape.cols);
  const offset = members * sizes.slice(0, index).reduce((sum, size) => sum + size, 0);
  const { rows, cols } = program.outputs[index]!.shape;
  const isStack = program.outputs.some(output => stacked.has(output));
  return {
    ...denseView(rows, cols, offset, program.order),
    memberStride: isStack ? rows * cols : 0,
    home: result,
  };
}

/** Copies an output that is not computed in place: an input, a view, or one that was computed for an earlier place. */
function placeOutput(lowering: Lowering, node: Node, index: number): void {
  const to = outputView(lowering, index);
  const from = viewOf(lowering, node);
  if (from.home === to.home && from.offset === to.offset) return;
  lowering.drafting.combine(to, [copyOf(from)], 0n);
}

function newMatrix({ drafting, stacked }: Lowering, node: Node, order: Order): Draft {
  return drafting.matrix(node.shape.rows, node.shape.cols, order, stacked.has(node));
}
