// The check accepts the right rules in both dtypes, rejects each wrong one, and claims nothing it cannot know.

import { deepEqual, equal, ok, throws } from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  assessCheck,
  CHECK_STEPS,
  type CheckGraph,
  type CheckReport,
  checkGraph,
} from '../../../shared/math/check.ts';
import type { Dtype } from '../../../shared/math/dtype.ts';
import { inputsOf } from '../../../shared/math/graph.ts';
import { DIFFERENTIABLE, type DifferentiableTable } from '../../../shared/math/primitives/index.ts';
import { type Shape, shape } from '../../../shared/math/shape.ts';
import { elementAt, evaluate, type Matrix, matrix, tabulate } from '../../support/evaluate.ts';
import { graphOf } from './expressions.ts';

const shapes = new Map<string, Shape>([
  ['A', shape(5, 4)],
  ['W', shape(4, 4)],
  ['S', shape(4, 4)],
  ['x', shape(4, 1)],
  ['s', shape(1, 1)],
]);

function floats({ rows, cols }: Shape, seed: number, size = 1, round = (value: number) => value): Matrix {
  return tabulate(rows, cols, (i, j) => round(size * Math.sin(seed + i * 12.9898 + j * 78.233)));
}

interface Options {
  readonly table?: DifferentiableTable;
  /** What the numbers in the inputs are about as large as. */
  readonly size?: number;
  readonly dtype?: Dtype;
}

/** The report on a derivative with respect to W, from made-up inputs. */
function check(
  text: string,
  { table = DIFFERENTIABLE, size = 1, dtype = 'float64' }: Options = {},
): CheckReport {
  const graph = checkGraph(graphOf(text, shapes), 'W', table);
  const round = dtype === 'float32' ? Math.fround : (value: number) => value;
  const inputs = Object.fromEntries(
    graph.inputs.map(({ params, shape: own }, i) => [params.name, floats(own, i + 1, size, round)]),
  );
  return assess(graph, inputs, dtype);
}

function assess(
  graph: CheckGraph,
  inputs: Readonly<Record<string, Matrix>>,
  dtype: Dtype = 'float64',
): CheckReport {
  const round = dtype === 'float32' ? Math.fround : undefined;
  return assessCheck(graph, valuesOf(graph, inputs, round), dtype);
}

function valuesOf(
  graph: CheckGraph,
  inputs: Readonly<Record<string, Matrix>>,
  round?: (value: number) => number,
): number[] {
  return graph.outputs.map(output => elementAt(evaluate(output, inputs, round), 0, 0));
}

const EXPRESSIONS = [
  'A*W',
  'A*W*S + A*S',
  "W'*S*W",
  "(x'*W*x)*A",
  's*W',
  'W*W*W',
  "-(2*W - W')*W'",
  "(x'*W*x)*(A*W)",
  '0*W',
];

describe('a check of right rules', () => {
  for (const text of EXPRESSIONS) {
    test(`${text} passes in both dtypes`, () => {
      for (const dtype of ['float64', 'float32'] as const) {
        const report = check(text, { dtype });
        equal(report.passed, true, JSON.stringify(report));
      }
    });
  }

  test('the size of the numbers does not matter, nor does underflow', () => {
    for (const size of [1e-200, 1e-60, 1e30, 1e50]) equal(check('A*W*S + A*S', { size }).passed, true);
    for (const size of [1e-30, 1e-15, 1e8])
      equal(check('A*W*S + A*S', { size, dtype: 'float32' }).passed, true);
  });

  test('where F is affine in W the remainders are rounding and tell no rate', () => {
    const report = check('A*W*S + A*S');
    equal(report.linear, true);
    equal(report.taylor.rate, null);
    deepEqual(report.taylor.steps, CHECK_STEPS);
    ok(report.taylor.remainders.every(remainder => remainder <= report.taylor.bound));
    ok(report.taylor.bound < 1e-11);
  });

  test('else the remainders shrink with the square of the step', () => {
    const report = check("W'*S*W");
    equal(report.linear, false);
    ok(report.taylor.rate !== null && Math.abs(report.taylor.rate - 2) < 0.01);
  });

  test('a second derivative that vanishes leaves no rate, and passes', () => {
    const graph = checkGraph(graphOf('W*W', shapes), 'W');
    const inputs = {
      W: floats(shape(4, 4), 1),
      G: floats(shape(4, 4), 2),
      // H·H = 0
      dW: tabulate(4, 4, (i, j) => (i === 0 && j === 3 ? 1 : 0)),
    };
    const report = assess(graph, inputs);
    equal(report.passed, true);
    equal(report.taylor.rate, null);
  });

  test('zeros pass', () => {
    const report = check("W'*S*W", { size: 0 });
    equal(report.passed, true);
    deepEqual([report.adjoint.relativeDefect, report.adjoint.bound], [0, 0]);
  });

  test('only what the check needs is asked for', () => {
    const graph = checkGraph(graphOf('A*W', shapes), 'W');
    deepEqual(
      inputsOf(graph.outputs)
        .map(({ params }) => params.name)
        .toSorted(),
      ['A', 'G', 'W', 'dW'],
    );
    equal(
      graph.outputs.every(({ shape: own }) => own.rows === 1 && own.cols === 1),
      true,
    );
  });
});

describe('a check of wrong rules', () => {
  const { matmul, scale, transpose, add } = DIFFERENTIABLE;
  const broken: readonly (readonly [
    what: string,
    table: DifferentiableTable,
    text: string,
    part: 'taylor' | 'adjoint',
  ])[] = [
    [
      'a tangent of A·B a millionth too large',
      {
        ...DIFFERENTIABLE,
        matmul: { ...matmul, jvp: (b, node, t) => b.scale(b.constant(1.000001), matmul.jvp(b, node, t)!) },
      },
      'A*W',
      'taylor',
    ],
    [
      'a tangent of A·B that forgets one side',
      {
        ...DIFFERENTIABLE,
        matmul: {
          ...matmul,
          jvp: (b, node, [da, db]) => matmul.jvp(b, node, da === undefined ? [da, db] : [da, undefined]),
        },
      },
      'W*W',
      'taylor',
    ],
    [
      'an adjoint of A·B a millionth too large',
      {
        ...DIFFERENTIABLE,
        matmul: {
          ...matmul,
          vjp: (b, node, g) => matmul.vjp(b, node, g).map(f => () => b.scale(b.constant(1.000001), f())),
        },
      },
      'W*W',
      'adjoint',
    ],
    [
      'an adjoint of s·A with the wrong sign',
      {
        ...DIFFERENTIABLE,
        scale: { ...scale, vjp: (b, node, g) => scale.vjp(b, node, g).map(f => () => b.negate(f())) },
      },
      "(x'*W*x)*A",
      'adjoint',
    ],
    [
      'an adjoint of a transpose that forgets to transpose',
      { ...DIFFERENTIABLE, transpose: { ...transpose, vjp: (_b, _node, g) => [() => g] } },
      "W'",
      'adjoint',
    ],
    [
      'a tangent of a sum that takes the difference',
      {
        ...DIFFERENTIABLE,
        add: { ...add, jvp: (b, _node, [da, db]) => (da && db ? b.add(da, b.negate(db)) : (da ?? db)) },
      },
      "W*W + W'",
      'taylor',
    ],
  ];
  for (const [what, table, text, part] of broken) {
    test(`${what} is found out`, () => {
      equal(check(text).passed, true);
      const report = check(text, { table });
      equal(report.passed, false);
      const linearFails = report.taylor.remainders.some(remainder => remainder > report.taylor.bound);
      const taylorFails = report.linear
        ? linearFails
        : report.taylor.rate !== null && report.taylor.rate < 1.9;
      const adjointFails = report.adjoint.relativeDefect > report.adjoint.bound;
      ok(part === 'taylor' ? taylorFails : adjointFails && !taylorFails, JSON.stringify(report));
    });
  }
});

describe('a check of rules that are wrong together', () => {
  const { matmul } = DIFFERENTIABLE;
  const stretched: DifferentiableTable = {
    ...DIFFERENTIABLE,
    matmul: {
      ...matmul,
      jvp: (b, node, t) => b.scale(b.constant(1.01), matmul.jvp(b, node, t)!),
      vjp: (b, node, g) => matmul.vjp(b, node, g).map(f => () => b.scale(b.constant(1.01), f())),
    },
  };
  for (const text of ['A*W', 'W*S*W']) {
    test(`${text}: the adjoint agrees with the differential, and both with nothing else`, () => {
      const report = check(text, { table: stretched });
      equal(report.passed, false);
      ok(report.adjoint.relativeDefect <= report.adjoint.bound);
    });
  }
});

describe('assessCheck', () => {
  test('what is not finite is not judged', () => {
    const graph = checkGraph(graphOf('W*W', shapes), 'W');
    const inputs = {
      W: floats(shape(4, 4), 1),
      dW: floats(shape(4, 4), 2),
      G: floats(shape(4, 4), 3),
    };
    const values = valuesOf(graph, inputs);
    for (const bad of [Number.NaN, Number.POSITIVE_INFINITY]) {
      for (const place of [0, 6, 7, values.length - 1]) {
        throws(() => assessCheck(graph, values.with(place, bad), 'float64'), { code: 'value-not-finite' });
      }
    }
  });

  test('a name that does not occur is an unknown symbol', () => {
    throws(() => checkGraph(graphOf('A*W', shapes), 'S'), { code: 'unknown-symbol' });
  });

  test('integers are judged exactly: F affine in W, no remainder but that of the steps', () => {
    const graph = checkGraph(graphOf('A*W', shapes), 'W');
    const inputs = {
      A: tabulate(5, 4, (i, j) => i - j),
      W: tabulate(4, 4, () => 0),
      dW: matrix([
        [1, 0, 0, 0],
        [0, 1, 0, 0],
        [0, 0, 1, 0],
        [0, 0, 0, 1],
      ]),
      G: tabulate(5, 4, (i, j) => i * j),
    };
    const report = assess(graph, inputs);
    equal(report.adjoint.forward, report.adjoint.reverse);
    equal(report.adjoint.relativeDefect, 0);
    equal(report.passed, true);
  });
});
