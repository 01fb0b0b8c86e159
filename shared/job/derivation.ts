// What a spec asks for, as graphs: its outputs, how the result is laid out, and the part of them that one block
// computes. Gateway and workers both come here, so that a block means the same on either side. Pure.

import { assert } from '../assert.ts';
import { buildGraph } from '../math/build-graph.ts';
import { type CheckGraph, checkGraph } from '../math/check.ts';
import { cotangentOf, derive, directionOf } from '../math/derive.ts';
import { inputsOf, type Node, type Range, type Role } from '../math/graph.ts';
import { magnitudeOf, magnitudeOperand } from '../math/magnitude.ts';
import { parseExpression } from '../math/parse.ts';
import type { Shape } from '../math/shape.ts';
import { sliceGraph } from '../math/slice.ts';
import type { Order } from '../math/view.ts';
import type { BlockRange } from './outcome.ts';
import type { JobSpec, MatrixSpec } from './spec.ts';

/** An input of the graphs and what the spec says of it. */
export interface DerivationInput extends MatrixSpec {
  readonly name: string;
  readonly role: Role;
  /** Whether it is |X| of what is stored: an input of the magnitude. */
  readonly isMagnitude: boolean;
}

export interface Derivation {
  /** F itself. */
  readonly value: Node;
  /** One matrix, and its magnitude (shared/math/magnitude.ts) where a componentwise bound is wanted; for a check, its numbers. */
  readonly outputs: readonly Node[];
  /** Present for a check: makes a report of the numbers. */
  readonly check?: CheckGraph;
  readonly order: Order;
  /** Members of the result; undefined where it is one matrix. */
  readonly members: number | undefined;
  /** The columns of the Jacobian that were asked for; of any other result, all. */
  readonly columns: Range;
  /** Everything that must be read to compute the outputs. */
  readonly inputs: readonly DerivationInput[];
}

export function deriveJob(spec: JobSpec): Derivation {
  const shapes = new Map(
    Object.entries(spec.operands).map(([name, { shape }]): [string, Shape] => [name, shape]),
  );
  const value = buildGraph(parseExpression(spec.expression), shapes);
  const members = spec.direction?.members ?? spec.cotangent?.members;
  const check = spec.operation === 'check' ? checkGraph(value, spec.wrt) : undefined;
  const outputs =
    spec.operation === 'check'
      ? check!.outputs
      : withMagnitude(derive(value, spec.operation, spec.wrt, members ?? 1), spec);
  const [root] = outputs;
  assert(root !== undefined, 'every operation has an output');
  return {
    value,
    outputs,
    ...(check && { check }),
    order: spec.operation === 'jacobian' ? 'F' : 'C',
    members,
    columns: spec.columns ?? [0, root.shape.cols],
    inputs: inputsOf(outputs).map(({ params: { name, role } }) => {
      const operand = magnitudeOperand(name);
      return {
        name,
        role,
        isMagnitude: operand !== undefined,
        ...matrixOf(spec, value, operand ?? name, role),
      };
    }),
  };
}

/** What reads no operand may be its own magnitude, and is computed once then. */
function withMagnitude(root: Node, { errorBound }: JobSpec): readonly Node[] {
  return errorBound === 'componentwise' ? [...new Set([root, magnitudeOf(root)])] : [root];
}

/** Directions and cotangents that a check was not given have no source: they are drawn from its seed. */
function matrixOf(spec: JobSpec, value: Node, name: string, role: Role): MatrixSpec {
  if (role === 'direction') return spec.direction ?? { shape: directionOf(value, spec.wrt).shape };
  if (role === 'cotangent') return spec.cotangent ?? { shape: cotangentOf(value).shape };
  const operand = spec.operands[name];
  assert(operand !== undefined, 'a spec names every operand');
  return operand;
}

/** The outputs of one block: slices of the derivation's, whose inputs are sliced to what they need. */
export function blockOutputs(derivation: Derivation, { rows, columns }: BlockRange): readonly Node[] {
  if (derivation.check !== undefined) return derivation.outputs;
  return derivation.outputs.map(root =>
    sliceGraph(root, rows ?? [0, root.shape.rows], columns ?? derivation.columns),
  );
}

/** Rows and columns of one member of the result. */
export function resultShape({ outputs, columns }: Derivation): Shape {
  const [root] = outputs;
  assert(root !== undefined, 'every operation has an output');
  return { rows: root.shape.rows, cols: columns[1] - columns[0] };
}
