// Random blocks to be damaged, or to be left alone: products in several forms over data of every kind that rounds
// badly. Small, because a fault is as visible in a small block, and thousands are wanted.

import type { Dtype } from '../../shared/math/dtype.ts';
import { inputsOf } from '../../shared/math/graph.ts';
import { type Shape, shape } from '../../shared/math/shape.ts';
import type { Program } from '../../workers/plan/lower.ts';
import { graphOf } from '../shared/math/expressions.ts';
import { type Matrix, tabulate } from '../support/evaluate.ts';
import type { Inputs } from '../workers/machine.ts';

const SIDE_MAX = 40;
/** The exponent that keeps a product of three numbers in range, and the one that makes such products subnormal. */
const EXPONENTS = {
  float64: { huge: 300, tiny: -530 },
  float32: { huge: 35, tiny: -70 },
} as const satisfies Record<Dtype, { huge: number; tiny: number }>;

const FORMS = ['A*B', "A'*B", "A*B'", 'A*B+C', '3*A*B-C', "A*B+C*D'"] as const;
const DATA = ['uniform', 'integers', 'graded', 'cancelling', 'huge', 'tiny', 'sparse'] as const;

export interface Block {
  readonly program: Program;
  readonly inputs: Inputs;
  readonly reproducible: boolean;
  /** For messages. */
  readonly label: string;
}

/** `random` answers numbers in [−1, 1). */
export function drawBlock(random: () => number): Block {
  const form = pick(FORMS, random);
  const data = pick(DATA, random);
  const dtype = pick(['float64', 'float32'] as const, random);
  const reproducible = random() < 0;
  const [m, k, n] = [side(random), side(random), side(random)];
  const root = graphOf(form, shapesOf(form, m, k, n));
  const inputs = inputsOf([root]);
  return {
    program: {
      outputs: [root],
      order: 'C',
      dtype,
      members: [0, 1],
      inputs: new Map(
        inputs.map(({ params }) => [
          params.name,
          { order: pick(['C', 'F'] as const, random), dtype, stacked: false },
        ]),
      ),
      chunkBytes: 4096,
    },
    inputs: Object.fromEntries(
      inputs.map(({ params, shape: { rows, cols } }) => [
        params.name,
        [drawMatrix(data, dtype, rows, cols, random)],
      ]),
    ),
    reproducible,
    label: `${form}, ${data}, ${dtype}, ${m}×${k}×${n}, ${reproducible ? 'strict' : 'fast'}`,
  };
}

/** A whole number in [0, count). */
export function below(count: number, random: () => number): number {
  return Math.min(count - 1, Math.floor(((random() + 1) / 2) * count));
}

function pick<T>(choices: readonly T[], random: () => number): T {
  return choices[below(choices.length, random)]!;
}

function side(random: () => number): number {
  return 1 + below(SIDE_MAX, random);
}

function shapesOf(form: (typeof FORMS)[number], m: number, k: number, n: number): Map<string, Shape> {
  return new Map([
    ['A', form === "A'*B" ? shape(k, m) : shape(m, k)],
    ['B', form === "A*B'" ? shape(n, k) : shape(k, n)],
    ['C', form === "A*B+C*D'" ? shape(m, k) : shape(m, n)],
    ['D', shape(n, k)],
  ]);
}

function drawMatrix(
  data: (typeof DATA)[number],
  dtype: Dtype,
  rows: number,
  cols: number,
  random: () => number,
): Matrix {
  const { huge, tiny } = EXPONENTS[dtype];
  switch (data) {
    case 'uniform':
      return tabulate(rows, cols, () => random());
    case 'integers':
      return tabulate(rows, cols, () => below(2001, random) - 1000);
    case 'graded':
      return tabulate(rows, cols, (i, j) => random() * 2 ** (-(i + j) / 2));
    case 'cancelling':
      // Neighbours nearly cancel, along rows and along columns.
      return tabulate(rows, cols, (i, j) => (-1) ** (i + j) * (1 + random() * 2 ** -20));
    case 'huge':
      return tabulate(rows, cols, () => random() * 2 ** huge);
    case 'tiny':
      return tabulate(rows, cols, () => random() * 2 ** tiny);
    case 'sparse':
      return tabulate(rows, cols, () => (random() < 0.8 ? 0 : random()));
  }
}
