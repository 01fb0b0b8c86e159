// Plans against the oracle: random expressions, operations, blocks, stacks and layouts, lowered and executed by real
// threads over poisoned memory, must give the oracle's integers bit for bit.

import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import fc from 'fast-check';
import { derive, type Operation } from '../../../shared/math/derive.ts';
import type { Dtype } from '../../../shared/math/dtype.ts';
import {
  build,
  inputsOf,
  type Node,
  placeOf,
  type Range,
  rebuild,
  rewrite,
} from '../../../shared/math/graph.ts';
import { shape } from '../../../shared/math/shape.ts';
import { sliceGraph } from '../../../shared/math/slice.ts';
import type { Order } from '../../../shared/math/view.ts';
import { lowerProgram, type Program } from '../../../workers/plan/lower.ts';
import { expressionText, graphOf } from '../../shared/math/expressions.ts';
import { elementAt, evaluate, type Matrix } from '../../support/evaluate.ts';
import { integers } from '../../support/integers.ts';
import { type Inputs, type Machine, runProgram, startMachine } from '../machine.ts';

const CHUNK_BYTES = 4096;

interface Case {
  readonly text: string;
  readonly operation: Operation;
  readonly dtype: Dtype;
  readonly reproducible: boolean;
  /** Undefined: one matrix. */
  readonly members: number | undefined;
  readonly block: readonly [number, number];
  readonly orders: readonly Order[];
  /** Undefined: everything lies in memory. */
  readonly slabLength: number | undefined;
  readonly seed: number;
}

const cases: fc.Arbitrary<Case> = fc.record({
  text: expressionText,
  operation: fc.constantFrom('value', 'jvp', 'vjp', 'jacobian'),
  dtype: fc.constantFrom('float64', 'float32'),
  reproducible: fc.boolean(),
  members: fc.constantFrom(undefined, 1, 2, 5),
  block: fc.tuple(fc.nat(1000), fc.nat(1000)),
  orders: fc.array(fc.constantFrom<Order>('C', 'F'), { minLength: 4, maxLength: 4 }),
  slabLength: fc.constantFrom(undefined, 1, 2, 3),
  seed: fc.nat(1000),
});

/** A range within [0, total], from two numbers that know nothing of it. */
function rangeWithin(total: number, [a, b]: readonly [number, number]): Range {
  const [x, y] = [a % (total + 1), b % (total + 1)];
  return [Math.min(x, y), Math.max(x, y)];
}

function programOf({ text, operation, dtype, members, block, orders, slabLength }: Case) {
  const f = graphOf(text);
  const stack = operation === 'jvp' || operation === 'vjp' ? members : undefined;
  const root = derive(f, operation, 'W', stack ?? 1);
  const isJacobian = operation === 'jacobian';
  const { rows, cols } = root.shape;
  const rowRange: Range = isJacobian ? [0, rows] : rangeWithin(rows, block);
  const colRange: Range = isJacobian ? rangeWithin(cols, block) : [0, cols];
  const output = sliceGraph(root, rowRange, colRange);
  const memberRange: Range = stack === undefined ? [0, 1] : rangeWithin(stack, block);
  const program: Program = {
    outputs: [output],
    order: isJacobian ? 'F' : 'C',
    dtype,
    members: memberRange,
    inputs: new Map(
      inputsOf([root]).map(({ params }, index) => [
        params.name,
        {
          order: orders[index % orders.length]!,
          dtype: 'float64',
          stacked: stack !== undefined && params.role !== 'operand',
        },
      ]),
    ),
    slabLength,
    chunkBytes: CHUNK_BYTES,
  };
  return { root, rowRange, colRange, memberRange, program, count: stack ?? 1 };
}

/** A matrix for every input, and of every stacked input one for every member. */
function inputsFor(root: Node, program: Program, count: number, seed: number): Inputs {
  return Object.fromEntries(
    inputsOf([root]).map(({ params, shape: { rows, cols } }, index) => {
      const members = program.inputs.get(params.name)!.stacked ? count : 1;
      return [
        params.name,
        Array.from({ length: members }, (_, s) => integers(rows, cols, seed + 17 * index + s)),
      ];
    }),
  );
}

function memberInputs(inputs: Inputs, member: number): Record<string, Matrix> {
  return Object.fromEntries(Object.entries(inputs).map(([name, all]) => [name, all[member] ?? all[0]!]));
}

/** No number on the way to the result, in whatever order, is larger: all entries are positive integers, all signs plus. */
function magnitude(root: Node, inputs: Record<string, Matrix>): number {
  const positive = placeOf(
    rewrite([root], (node, parts) =>
      node.primitive === 'constant'
        ? build.constant(Math.max(1, Math.abs(node.params.value)))
        : rebuild(node, parts),
    ),
    root,
  );
  const sizes = Object.entries(inputs).map(([name, m]): [string, Matrix] => [
    name,
    { ...m, data: m.data.map(value => Math.max(1, Math.abs(value))) },
  ]);
  return Math.max(0, ...evaluate(positive, Object.fromEntries(sizes)).data);
}

/** The block of one member, in the order of the result. */
function expectedBlock(value: Matrix, rows: Range, cols: Range, order: Order): number[] {
  const out: number[] = [];
  const [outer, inner] = order === 'C' ? [rows, cols] : [cols, rows];
  for (let p = outer[0]; p < outer[1]; p++) {
    for (let q = inner[0]; q < inner[1]; q++)
      out.push(order === 'C' ? elementAt(value, p, q) : elementAt(value, q, p));
  }
  return out;
}

async function checkCase(machine: Machine, given: Case): Promise<void> {
  const { root, rowRange, colRange, memberRange, program, count } = programOf(given);
  const inputs = inputsFor(root, program, count, given.seed);
  const exact = given.dtype === 'float64' ? 2 ** 53 : 2 ** 24;
  const values = Array.from({ length: count }, (_, s) => memberInputs(inputs, s));
  fc.pre(values.every(own => magnitude(root, own) <= exact));
  const wanted = values
    .slice(...memberRange)
    .flatMap(own => expectedBlock(evaluate(root, own), rowRange, colRange, program.order));
  const { values: got, report } = await runProgram(machine, program, inputs, {
    reproducible: given.reproducible,
    seed: given.seed,
  });
  // −0 and 0 are one number here: which of them a sum of zeros is depends on its order.
  assert.deepEqual(
    [...got].map(value => value + 0),
    wanted.map(value => value + 0),
  );
  assert.equal(report.maxError, 0, 'integers leave no residual');
  assert.deepEqual(machine.faults, []);
}

for (const kernel of ['wasm', 'reference'] as const) {
  describe(`plans executed by ${kernel} threads`, () => {
    const machine = startMachine({ kernel });
    after(() => machine.close());

    test('random expressions, operations, blocks, stacks and layouts give the oracle’s integers', async () => {
      await fc.assert(
        fc.asyncProperty(cases, given => checkCase(machine, given)),
        { numRuns: 400 },
      );
    });
  });
}

describe('lowering', () => {
  const program = (outputs: readonly Node[], more: Partial<Program> = {}): Program => ({
    outputs,
    order: 'C',
    dtype: 'float64',
    members: [0, 1],
    inputs: new Map(
      inputsOf(outputs).map(({ params }) => [params.name, { order: 'C', dtype: 'float64', stacked: false }]),
    ),
    chunkBytes: CHUNK_BYTES,
    ...more,
  });
  const input = (name: string, rows: number, cols: number) => build.input(name, 'operand', shape(rows, cols));

  test('a sum of scaled products and matrices is one step, in the result itself', () => {
    const [a, b, c] = [input('A', 4, 6), input('B', 6, 5), input('C', 4, 5)];
    const sum = build.add(build.scale(build.constant(3), build.matmul(a, b)), build.negate(c));
    const plan = lowerProgram(program([sum]));
    assert.equal(plan.steps.length, 1);
    const [step] = plan.steps;
    assert.ok(step?.kind === 'combine');
    assert.deepEqual(
      step.terms.map(term => term.kind),
      ['matrix', 'product'],
    );
    assert.equal(step.c.offset * 8, plan.result.byteOffset);
    assert.equal(plan.flops, BigInt(2 * 4 * 6 * 5 + 4 * 5));
  });

  test('a product that two places use is computed once', () => {
    const [a, b] = [input('A', 3, 3), input('B', 3, 3)];
    const shared = build.matmul(a, b);
    const plan = lowerProgram(program([build.add(build.matmul(shared, a), build.matmul(shared, b))]));
    assert.equal(plan.steps.length, 2);
  });

  test('a transpose is a view: no step, no copy', () => {
    const [a, g] = [input('A', 3, 4), input('G', 3, 2)];
    const plan = lowerProgram(program([build.matmul(build.transpose(a), g)]));
    assert.equal(plan.steps.length, 1);
    const [step] = plan.steps;
    assert.ok(step?.kind === 'combine' && step.terms[0]?.kind === 'product');
    const { rows, cols, rowStride, colStride } = step.terms[0].a;
    assert.deepEqual({ rows, cols, rowStride, colStride }, { rows: 4, cols: 3, rowStride: 1, colStride: 4 });
  });

  test('a stack of columns with a shared factor is one product of as many columns', () => {
    const a = input('A', 7, 5);
    const h = build.input('H', 'direction', shape(5, 1));
    const inputs: Program['inputs'] = new Map([
      ['A', { order: 'C', dtype: 'float64', stacked: false }],
      ['H', { order: 'C', dtype: 'float64', stacked: true }],
    ]);
    const plan = lowerProgram(program([build.matmul(a, h)], { members: [10, 110], inputs }));
    const [step] = plan.steps;
    assert.ok(step?.kind === 'combine');
    assert.equal(step.members, 1);
    assert.deepEqual([step.c.rows, step.c.cols, step.c.rowStride, step.c.colStride], [7, 100, 1, 7]);
    assert.equal(step.flops, 2n * 7n * 5n * 100n);
  });

  test('a block of A + A′ reads its rows and its columns of A, not all of A', () => {
    const a = input('A', 100, 100);
    const block = sliceGraph(build.add(a, build.transpose(a)), [10, 20], [0, 100]);
    const plan = lowerProgram(program([block]));
    assert.deepEqual(
      plan.inputs.map(({ rows, cols, elements }) => ({ rows, cols, elements })),
      [
        { rows: [10, 20], cols: [0, 100], elements: 1000 },
        { rows: [0, 100], cols: [10, 20], elements: 1000 },
      ],
    );
  });

  test('what is streamed is a step for each slab, from two slots in turn, onto two places in turn', () => {
    const [a, b, c] = [input('A', 4, 10), input('B', 5, 10), input('C', 4, 5)];
    const sum = build.add(build.matmul(a, build.transpose(b)), c);
    const plan = lowerProgram(program([sum], { slabLength: 3 }));
    assert.deepEqual(
      plan.inputs.map(({ name }) => name),
      ['C'],
    );
    assert.deepEqual(
      plan.streamed.map(({ step, slab }) => [step, slab.name, slab.cols]),
      [0, 1, 2, 3].flatMap(step =>
        ['A', 'B'].map(name => [step, name, [3 * step, Math.min(10, 3 * step + 3)]]),
      ),
    );
    const [first, second, third, last] = plan.steps.map((_, step) =>
      plan.streamed.filter(slab => slab.step === step).map(({ byteOffset }) => byteOffset),
    );
    assert.deepEqual([third![0], last![0]], [first![0], second![0]]);
    assert.notEqual(first![0], second![0]);
    const targets = plan.steps.map(({ c: { offset } }) => offset * 8);
    assert.equal(targets[3], plan.result.byteOffset);
    assert.deepEqual([targets[1], targets[2]], [targets[3], targets[0]]);
    assert.notEqual(targets[0], targets[1]);
    assert.equal(plan.flops, BigInt(2 * 4 * 10 * 5 + 4 * 5), 'no more than in memory');
  });

  test('a factor that must be computed is in memory while the other is streamed', () => {
    const [a, b] = [input('A', 6, 6), input('B', 6, 6)];
    const plan = lowerProgram(program([build.matmul(build.add(a, b), a)], { slabLength: 4 }));
    assert.deepEqual(
      plan.inputs.map(({ name }) => name),
      ['A', 'B'],
    );
    assert.deepEqual(
      plan.streamed.map(({ step, slab }) => [step, slab.name, slab.rows]),
      [
        [1, 'A', [0, 4]],
        [2, 'A', [4, 6]],
      ],
    );
  });

  test('the same program always has the same plan', () => {
    const make = () => {
      const [a, b] = [input('A', 8, 8), input('B', 8, 8)];
      return lowerProgram(program([build.matmul(build.add(build.matmul(a, b), b), build.matmul(b, a))]));
    };
    assert.deepEqual(make(), make());
  });

  test('a thousand steps share memory: the region stays a few matrices large', () => {
    const a = input('A', 16, 16);
    let node: Node = a;
    for (let i = 0; i < 1000; i++) node = build.matmul(node, build.add(a, a));
    const plan = lowerProgram(program([node]));
    assert.equal(plan.steps.length, 1001);
    assert.ok(plan.regionBytes < 10 * 16 * 16 * 8 + 4 * 3100, `${plan.regionBytes} bytes`);
  });
});
