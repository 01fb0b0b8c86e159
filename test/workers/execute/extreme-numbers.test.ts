// Numbers of an expression that are far from 1: what is finite and not lost as it is written stays so, in products and
// beside them, in float32 too, and the bound of the result holds there.

import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { derive, type Operation } from '../../../shared/math/derive.ts';
import type { Dtype } from '../../../shared/math/dtype.ts';
import { inputsOf, type Node } from '../../../shared/math/graph.ts';
import { componentwiseFactor, magnitudeOf } from '../../../shared/math/magnitude.ts';
import { shape } from '../../../shared/math/shape.ts';
import { graphOf } from '../../shared/math/expressions.ts';
import { tabulate } from '../../support/evaluate.ts';
import { runProgram, startMachine } from '../machine.ts';

const machine = startMachine();
after(() => machine.close());

type Rows = readonly (readonly number[])[];

interface Case {
  readonly text: string;
  readonly dtype?: Dtype;
  readonly operation?: Operation;
  readonly inputs: Readonly<Record<string, Rows>>;
  readonly expected: readonly number[];
}

const CASES: readonly Case[] = [
  { text: '1e-44*A*W', dtype: 'float32', inputs: { A: [[1]], W: [[1e38]] }, expected: [1e-6] },
  {
    text: '1e-30*(A*W)',
    dtype: 'float32',
    inputs: {
      A: [[1, 1]],
      W: [
        [1e38, 1],
        [0, 0],
      ],
    },
    expected: [1e8, 1e-30],
  },
  { text: '1e-50*(A*W)', dtype: 'float32', inputs: { A: [[1, 1]], W: [[1e38], [0]] }, expected: [1e-12] },
  { text: '4e38*(A*W)', dtype: 'float32', inputs: { A: [[1]], W: [[0]] }, expected: [0] },
  { text: '4e38*A*W', dtype: 'float32', operation: 'jvp', inputs: { A: [[1]], dW: [[0]] }, expected: [0] },
  { text: '1e60*(A*W)', dtype: 'float32', inputs: { A: [[1, 1]], W: [[1e-30], [0]] }, expected: [1e30] },
  { text: '1e200*(1e200*W)', inputs: { W: [[1e-300, 0]] }, expected: [1e100, 0] },
  {
    text: '1e200*(1e200*(A*W))',
    operation: 'jvp',
    inputs: { A: [[1]], dW: [[0]] },
    expected: [0],
  },
  {
    text: '1e200*(1e200*W)+A',
    inputs: { W: [[1e-300, 2e-300]], A: [[1, 1]] },
    expected: [1e100 + 1, 2e100 + 1],
  },
  { text: '1e-200*(1e-200*W)', inputs: { W: [[1e300]] }, expected: [1e-100] },
  { text: '1e-200*(1e-200*(A*W))', inputs: { A: [[1, 1]], W: [[1e300], [1e300]] }, expected: [2e-100] },
];

function rootOf(text: string, operation: Operation, inputs: Case['inputs']): Node {
  const shapeOf = (rows: Rows) => shape(rows.length, rows[0]!.length);
  const shapes = new Map(Object.entries(inputs).map(([name, rows]) => [name, shapeOf(rows)]));
  shapes.set('W', shapes.get('W') ?? shapes.get('dW')!);
  return derive(graphOf(text, shapes), operation, 'W', 1);
}

async function run({ text, dtype = 'float64', operation = 'value', inputs }: Omit<Case, 'expected'>) {
  const root = rootOf(text, operation, inputs);
  const read = inputsOf([root]).map(({ params }) => params.name);
  return runProgram(
    machine,
    {
      outputs: [root],
      order: operation === 'jacobian' ? 'F' : 'C',
      dtype,
      members: [0, 1],
      inputs: new Map(read.map(name => [name, { order: 'C', dtype: 'float64', stacked: false }])),
      chunkBytes: 4096,
    },
    Object.fromEntries(
      read.map(name => {
        const rows = inputs[name]!;
        return [name, [tabulate(rows.length, rows[0]!.length, (i, j) => rows[i]![j]!)]];
      }),
    ),
  );
}

describe('as it is written', () => {
  for (const one of CASES) {
    const { text, dtype = 'float64', operation = 'value', expected } = one;
    test(`${operation} of ${text} in ${dtype}`, async () => {
      const { values, report } = await run(one);
      const round = dtype === 'float32' ? Math.fround : (value: number) => value;
      const size = expected.reduce((sum, value) => sum + Math.abs(value), 0);
      let error = 0;
      for (const [at, value] of expected.entries()) {
        const relative = dtype === 'float32' ? 2 ** -22 : 2 ** -50;
        const difference = Math.abs(values[at]! - round(value));
        assert.ok(difference <= relative * Math.abs(value), `${values[at]} is ${value}`);
        error += Math.abs(values[at]! - value);
      }
      assert.ok(error <= report.errorBound!.absolute, `${error} ≤ ${report.errorBound?.absolute}`);
      if (size > 0) assert.ok(report.errorBound!.absolute <= 1e-5 * size, 'it is a bound of rounding');
    });
  }
});

describe('a bound does not underflow where its result does not', () => {
  const [s, w] = [3.3e-200, 7.1e-200];

  test('scaled by a matrix of one element', async () => {
    const { values, report } = await run({ text: '1e200*(s*W)', inputs: { s: [[s]], W: [[w], [w]] } });
    // 3.3·7.1 = 23.43, each factor rounded, and so is each product.
    assert.ok(Math.abs(values[0]! - 2.343e-199) <= 1e-214);
    assert.ok(report.errorBound!.absolute >= 2 * 2 ** -53 * 2.343e-199);
  });

  test('of a Jacobian', async () => {
    const inputs = { A: [[s], [s]], W: [[1]], B: [[w, w]] };
    const { values, report } = await run({ text: '1e200*(A*W*B)', operation: 'jacobian', inputs });
    assert.ok(Math.abs(values[0]! - 2.343e-199) <= 1e-214);
    assert.ok(report.errorBound!.absolute >= 2 ** -53 * 2.343e-199);
  });
});

describe('what is lost of the numbers of an expression is in the bound', () => {
  /** Each with the exact sum of its elements for a W of ones, as a multiple of 2⁻²⁰⁰. */
  const exactly = (terms: readonly (readonly number[])[]) =>
    terms.reduce(
      (sum, factors) =>
        sum +
        factors.reduce((product, x) => product * scaledInteger(x), 1n) *
          2n ** BigInt(200 * (3 - factors.length)),
      0n,
    );
  const scaledInteger = (x: number) => {
    let [integer, exponent] = [x, 0];
    for (; !Number.isInteger(integer); integer *= 2) exponent += 1;
    return BigInt(integer) * 2n ** BigInt(200 - exponent);
  };
  const TEXTS: Readonly<Record<string, readonly (readonly number[])[]>> = {
    'W + 1e-20*W': [[1], [1e-20]],
    '(1+1e-20)*W': [[1], [1e-20]],
    '3*(0.3333333333333333*W)': [[3, 0.3333333333333333]],
    '0.1*(10*W)': [[0.1, 10]],
    '(0.1+0.2-0.3)*W': [[0.1], [0.2], [-0.3]],
    '0.1*W+0.2*W-0.3*W': [[0.1], [0.2], [-0.3]],
    '(0.1*0.7)*(0.3*W)': [[0.1, 0.7, 0.3]],
    '(0.1+0.7)*(0.3*W)': [
      [0.1, 0.3],
      [0.7, 0.3],
    ],
  };
  for (const [text, terms] of Object.entries(TEXTS)) {
    for (const dtype of ['float64', 'float32'] as const) {
      for (const operation of ['value', 'jacobian'] as const)
        test(`${operation} of ${text} in ${dtype}`, async () => {
          const { values, report } = await run({ text, dtype, operation, inputs: { W: [[1]] } });
          const difference = scaledInteger(values[0]!) * 2n ** 400n - exactly(terms);
          const error = Number(difference < 0n ? -difference : difference) * 2 ** -600;
          assert.ok(error <= report.errorBound!.absolute, `${error} ≤ ${report.errorBound!.absolute}`);
          assert.ok(report.errorBound!.absolute <= (dtype === 'float32' ? 2 ** -20 : 2 ** -48));
        });
    }
  }

  test('each of its elements, too', async () => {
    const root = rootOf('(0.1+0.2-0.3)*W', 'value', { W: [[1]] });
    const magnitude = magnitudeOf(root);
    const one = [tabulate(1, 1, () => 1)];
    const { values } = await runProgram(
      machine,
      {
        outputs: [root, magnitude],
        order: 'C',
        dtype: 'float64',
        members: [0, 1],
        inputs: new Map(['W', '|W|'].map(name => [name, { order: 'C', dtype: 'float64', stacked: false }])),
        chunkBytes: 4096,
      },
      { W: one, '|W|': one },
    );
    const error = Math.abs(values[0]! - 2.7755575615628914e-17);
    assert.ok(error > 0 && error <= componentwiseFactor(root, 'float64') * values[1]!);
  });
});
