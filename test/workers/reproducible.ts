// Reproducible jobs as they are planned, cut into blocks and computed, on threads, under memory budgets and from
// arrays in orders of a test's choice. What comes back is a digest of the result's bytes.

import { createHash } from 'node:crypto';
import { blockOutputs, deriveJob } from '../../shared/job/derivation.ts';
import { planJob } from '../../shared/job/job-plan.ts';
import type { BlockLimits, JobSpec, MatrixSpec } from '../../shared/job/spec.ts';
import type { Dtype } from '../../shared/math/dtype.ts';
import { type Shape, shape } from '../../shared/math/shape.ts';
import type { Order } from '../../shared/math/view.ts';
import type { Program } from '../../workers/plan/lower.ts';
import { tabulate } from '../support/evaluate.ts';
import { seededRandom } from './kernels/fixture.ts';
import { type Inputs, type Machine, prepare } from './machine.ts';

/** What a client decides; everything else must not matter. */
export interface Problem {
  readonly label: string;
  readonly spec: Omit<JobSpec, 'blockLimits'>;
  readonly inputs: Inputs;
}

/** What a machine decides. */
export interface Circumstances {
  readonly machine: Machine;
  readonly blockLimits: BlockLimits;
  /** Of the operands, in turn. */
  readonly orders: readonly Order[];
  /** Of what is streamed; undefined where everything lies in memory. */
  readonly slabLength?: number | undefined;
}

const EXPRESSIONS = ['A*W', 'A*W*B', "A'*W", 'A*W+W*B', '2*A*W-0.3*W*B', "A*B*W+A*W'*A", "W*W'*A"] as const;
const OPERATIONS = ['value', 'jvp', 'vjp', 'jacobian'] as const;
const BLOCK_BYTES = 2 ** 26;

export const ROOMY: BlockLimits = {
  bytes: BLOCK_BYTES,
  flops: '1000000000000',
  workingSetBytes: BLOCK_BYTES,
};

/** Sides of A and W where the inner one runs over several panels of the summation. */
const LONG = { A: shape(9, 600), W: shape(600, 11) };

/** The problem of a number; another one for another number. Square matrices, so that every expression fits, or long ones. */
export function problemOf(number: number): Problem {
  const random = seededRandom(number);
  const choose = <T>(choices: readonly T[]) => choices[Math.floor(((random() + 1) / 2) * choices.length)]!;
  const isLong = number % 5 === 0;
  const operation = choose(isLong ? (['value', 'jvp', 'vjp'] as const) : OPERATIONS);
  const dtype = choose<Dtype>(['float64', 'float32']);
  const expression = isLong ? 'A*W' : choose(EXPRESSIONS);
  // A Jacobian has the fourth power of a side in elements.
  const side = operation === 'jacobian' ? choose([1, 3, 7, 10]) : choose([1, 5, 17, 33, 52]);
  const members = operation === 'jvp' || operation === 'vjp' ? choose([undefined, 1, 3]) : undefined;
  const shapes: Readonly<Record<string, Shape>> = isLong
    ? LONG
    : Object.fromEntries(
        ['A', 'B', 'W'].filter(name => expression.includes(name)).map(name => [name, shape(side, side)]),
      );
  const stacked = (own: Shape) => ({ shape: own, ...(members === undefined ? {} : { members }) });
  const spec: Problem['spec'] = {
    version: 1,
    id: '01JDB0000000000000000000R0',
    tenant: 'default',
    operation,
    expression,
    wrt: 'W',
    operands: Object.fromEntries(Object.entries(shapes).map(([name, own]) => [name, { shape: own }])),
    ...(operation === 'jvp' ? { direction: stacked(shapes.W!) } : {}),
    ...(operation === 'vjp' ? { cotangent: stacked(isLong ? shape(9, 11) : shapes.W!) } : {}),
    dtype,
    reproducible: true,
    seed: 0,
    labels: {},
    priority: 0,
    expiresIn: 60,
    createdAt: '2026-11-23T12:00:00.000Z',
  };
  const inputs = deriveJob({ ...spec, blockLimits: ROOMY }).inputs.map(input => [
    input.name,
    Array.from({ length: input.members ?? 1 }, () => randomMatrix(input.shape, random)),
  ]);
  const size = `${isLong ? 'long' : side}${members === undefined ? '' : ` × ${members} members`}`;
  return {
    label: `${number}: ${operation} of ${expression}, ${dtype}, ${size}`,
    spec,
    inputs: Object.fromEntries(inputs),
  };
}

/** SHA-256 of the result's elements, hex, with the number of blocks it was computed in. */
export async function digestOf(
  { spec: fields, inputs }: Problem,
  { machine, blockLimits, orders, slabLength }: Circumstances,
): Promise<{ digest: string; blocks: number }> {
  const spec = { ...fields, blockLimits };
  const { derivation, blocksTotal, block } = planJob(spec);
  const hash = createHash('sha256');
  for (let index = 0; index < blocksTotal; index++) {
    const range = block(index);
    const program: Program = {
      outputs: blockOutputs(derivation, range),
      order: derivation.order,
      dtype: spec.dtype,
      members: range.members ?? ([0, derivation.members ?? 1] as const),
      inputs: new Map(
        derivation.inputs.map((input: MatrixSpec & { name: string }, place) => [
          input.name,
          { order: orders[place % orders.length]!, dtype: 'float64', stacked: input.members !== undefined },
        ]),
      ),
      slabLength,
      chunkBytes: 2 ** 22,
    };
    const { execution, result } = prepare(machine, program, inputs, { reproducible: true, seed: index + 1 });
    await execution.run();
    const values = result();
    hash.update(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
  }
  return { digest: hash.digest('hex'), blocks: blocksTotal };
}

/** Numbers of many sizes, so that every order of summation rounds in its own way. */
function randomMatrix({ rows, cols }: Shape, random: () => number) {
  return tabulate(rows, cols, () => random() * 2 ** Math.round(6 * random()));
}
