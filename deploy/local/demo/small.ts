// The first story: all derivatives of F(W) = A·W for a matrix that fits in the head.

import { isDeepStrictEqual } from 'node:util';
import type { DemoClient } from './client.ts';
import type { Terminal } from './terminal.ts';

type Rows = number[][];

// biome-ignore format: a matrix
const A = [
  [1, 2],
  [3, 4],
  [5, 6],
];
const H = [
  [1, 0],
  [-2, 1],
];
const G = [
  [1, 0],
  [0, 1],
  [1, 1],
];

/** A·H, Aᵀ·G and I₂ ⊗ A, worked out by hand. */
const EXPECTED = {
  jvp: [
    [-3, 2],
    [-5, 4],
    [-7, 6],
  ],
  vjp: [
    [6, 8],
    [8, 10],
  ],
  jacobian: [
    [1, 2, 0, 0],
    [3, 4, 0, 0],
    [5, 6, 0, 0],
    [0, 0, 1, 2],
    [0, 0, 3, 4],
    [0, 0, 5, 6],
  ],
};

/** @throws where an answer is not exactly what it has to be */
export async function runSmall(client: DemoClient, terminal: Terminal): Promise<void> {
  terminal.title('F(W) = A·W, and its derivative at any W');
  terminal.matrix('A', A);
  terminal.line();

  const expression = 'A*W';
  const operands = { A: { data: A } };
  const jvp = await client.compute<Rows>({
    operation: 'jvp',
    expression,
    operands,
    direction: { data: H },
  });
  const { differential, adjoint, jacobian } = jvp.job.derivative;
  terminal.line(`differential  dF  = ${differential}`);
  terminal.line(`adjoint       dF* = ${adjoint}`);
  terminal.line(`Jacobian      J   = ${jacobian}`);
  terminal.line();

  terminal.matrix('H', H);
  report(terminal, 'jvp: dF(H) = A·H', jvp.result, EXPECTED.jvp);
  const verification = jvp.job.verification;
  if (verification !== null) {
    const { method, maxError, bound } = verification;
    terminal.line(`verified by ${method}: error ${maxError}, bound ${bound.toExponential(1)}`);
  }

  terminal.line();
  terminal.matrix('G', G);
  const vjp = await client.compute<Rows>({ operation: 'vjp', expression, operands, cotangent: { data: G } });
  report(terminal, "vjp: dF*(G) = A'·G", vjp.result, EXPECTED.vjp);

  terminal.line();
  const shaped = { ...operands, W: { shape: [2, 2] } };
  const whole = await client.compute<Rows>({ operation: 'jacobian', expression, operands: shaped });
  report(terminal, 'jacobian for a 2×2 W', whole.result, EXPECTED.jacobian);
}

function report(terminal: Terminal, name: string, result: Rows, expected: Rows): void {
  if (!isDeepStrictEqual(result, expected)) {
    throw new Error(`${name} is ${JSON.stringify(result)} and should be ${JSON.stringify(expected)}`);
  }
  terminal.matrix(name, result);
  terminal.line(terminal.good('exactly right'));
}
