// The test that stands between a wrong result and the store: it must find every wrong element that rounding does not
// explain, and never doubt a right one. Faults are injected into the computed memory, before it is looked at.

import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { DTYPES, type Dtype, type FloatArray, floatArray } from '../../../shared/math/dtype.ts';
import { build, inputsOf, type Node } from '../../../shared/math/graph.ts';
import { shape } from '../../../shared/math/shape.ts';
import type { CombineTask } from '../../../workers/execute/task.ts';
import type { Threads } from '../../../workers/execute/threads.ts';
import type { Program } from '../../../workers/plan/lower.ts';
import { type Matrix, tabulate } from '../../support/evaluate.ts';
import { seededRandom } from '../kernels/fixture.ts';
import { type Inputs, type Machine, prepare, startMachine } from '../machine.ts';

const [M, K, N] = [70, 50, 60];

/** C and the elements of the memory, between computing and verifying. */
type Fault = (c: CombineTask['c'], data: FloatArray) => void;

/** Threads that damage what a step has computed. */
function faulty(machine: Machine, fault: Fault): Threads {
  return {
    ...machine.threads,
    async run(task, tiles, control) {
      const found = await machine.threads.run(task, tiles, control);
      if (task.kind === 'combine') {
        const { buffer } = machine.memory;
        fault(task.c, floatArray(task.dtype, buffer, 0, buffer.byteLength / DTYPES[task.dtype].bytes));
      }
      return found;
    },
  };
}

function programOf(root: Node, dtype: Dtype, members = 1): Program {
  return {
    outputs: [root],
    order: 'C',
    dtype,
    members: [0, members],
    inputs: new Map(
      inputsOf([root]).map(({ params }) => [
        params.name,
        { order: 'C', dtype: 'float64', stacked: params.role === 'direction' },
      ]),
    ),
    chunkBytes: 4096,
  };
}

const A = build.input('A', 'operand', shape(M, K));
const B = build.input('B', 'operand', shape(K, N));
const X = build.input('X', 'operand', shape(M, N));
const PRODUCT = build.matmul(A, B);
const SUM = build.add(
  build.add(build.scale(build.constant(-3), PRODUCT), X),
  build.matmul(build.matmul(A, B), build.matmul(build.transpose(X), X)),
);

/** Matrices of an element function for every input. */
function inputsOfSize(root: Node, element: (name: string, i: number, j: number) => number): Inputs {
  return Object.fromEntries(
    inputsOf([root]).map(({ params, shape: { rows, cols } }): [string, Matrix[]] => [
      params.name,
      [tabulate(rows, cols, (i, j) => element(params.name, i, j))],
    ]),
  );
}

function uniform(root: Node, seed: number, scale: (i: number, j: number) => number = () => 1): Inputs {
  const random = seededRandom(seed);
  return inputsOfSize(root, (_name, i, j) => scale(i, j) * random());
}

async function verdict(
  machine: Machine,
  root: Node,
  dtype: Dtype,
  inputs: Inputs,
  fault: Fault = () => {},
  seed = 1,
  rounds = 1,
): Promise<'clean' | 'failed'> {
  const { execution } = prepare(machine, programOf(root, dtype), inputs, {
    threads: faulty(machine, fault),
    seed,
    rounds,
  });
  try {
    const { maxError, bound } = await execution.run();
    assert.ok(maxError <= bound, `${maxError} ≤ ${bound}`);
    return 'clean';
  } catch (error) {
    assert.equal((error as { code?: unknown }).code, 'verification-failed');
    return 'failed';
  }
}

for (const kernel of ['wasm', 'reference'] as const) {
  describe(`Freivalds’ test on ${kernel} threads`, () => {
    const machine = startMachine({ kernel, roomBytes: 2 ** 21 });
    after(() => machine.close());

    for (const dtype of ['float64', 'float32'] as const) {
      const { unitRoundoff } = DTYPES[dtype];

      test(`${dtype}: one wrong element is always found, wherever it is`, async () => {
        const inputs = uniform(PRODUCT, 3);
        for (let round = 0; round < 40; round++) {
          const [i, j] = [(round * 37) % M, (round * 23) % N];
          const fault: Fault = ({ offset, rowStride, colStride }, data) => {
            // A hundred times what rounding could do to a row: each product is at most 1.
            data[offset + i * rowStride + j * colStride]! += 100 * 4 * (K + N) * K * N * unitRoundoff;
          };
          assert.equal(
            await verdict(machine, PRODUCT, dtype, inputs, fault, round),
            'failed',
            `element ${i}, ${j}`,
          );
        }
      });

      test(`${dtype}: one flipped bit above the rounding is found`, async () => {
        const inputs = inputsOfSize(PRODUCT, (_name, i, j) => 1 + ((i + j) % 3));
        // Sign, exponent and leading mantissa bits of an element of about 200.
        const bits = dtype === 'float64' ? [63, 62, 58, 54, 52, 50, 45] : [31, 30, 27, 24, 23, 22, 20];
        for (const bit of bits) {
          const fault: Fault = ({ offset }, data) => {
            const words = new Uint32Array(data.buffer, (offset + 7) * data.BYTES_PER_ELEMENT, 2);
            words[Math.floor(bit / 32)]! ^= 1 << (bit % 32);
          };
          assert.equal(await verdict(machine, PRODUCT, dtype, inputs, fault), 'failed', `bit ${bit}`);
        }
      });

      test(`${dtype}: whole rows, columns and tiles that are wrong are found`, async () => {
        const inputs = uniform(PRODUCT, 4);
        const damage =
          (isHit: (i: number, j: number) => boolean, change: (value: number) => number): Fault =>
          ({ offset, rowStride, colStride }, data) => {
            for (let i = 0; i < M; i++)
              for (let j = 0; j < N; j++) {
                const at = offset + i * rowStride + j * colStride;
                if (isHit(i, j)) data[at] = change(data[at]!);
              }
          };
        const faults: Record<string, Fault> = {
          'a row of zeros': damage(
            i => i === 11,
            () => 0,
          ),
          'a column twice as large': damage(
            (_i, j) => j === 5,
            value => 2 * value,
          ),
          'a tile that was never written': damage(
            (i, j) => i >= 32 && j >= 32,
            () => Number.NaN,
          ),
          'an infinity': damage(
            (i, j) => i === 1 && j === 1,
            () => Number.POSITIVE_INFINITY,
          ),
          'a transposed sign': damage(
            i => i % 2 === 0,
            value => -value,
          ),
        };
        for (const [name, fault] of Object.entries(faults))
          assert.equal(await verdict(machine, PRODUCT, dtype, inputs, fault), 'failed', name);
      });

      /** Adds to elements of C; rows and columns of the same number cancel where the vector has equal signs there. */
      const corners =
        (...changes: readonly (readonly [i: number, j: number, change: number])[]): Fault =>
        ({ offset, rowStride, colStride }, data) => {
          for (const [i, j, change] of changes) data[offset + i * rowStride + j * colStride]! += change;
        };

      async function countFailures(fault: Fault, rounds: number): Promise<number> {
        const inputs = uniform(PRODUCT, 5);
        let failed = 0;
        for (let seed = 0; seed < 40; seed++)
          if ((await verdict(machine, PRODUCT, dtype, inputs, fault, 1000 * seed, rounds)) === 'failed')
            failed++;
        return failed;
      }

      test(`${dtype}: what cancels in a row is found in its columns, and the other way round, always`, async () => {
        assert.equal(await countFailures(corners([9, 3, 1], [9, 40, -1]), 1), 40);
        assert.equal(await countFailures(corners([9, 3, 1], [60, 3, -1]), 1), 40);
      });

      test(`${dtype}: what cancels in rows and columns escapes a round with probability 1/4, many rounds never`, async () => {
        const square = corners([9, 3, 1], [9, 40, -1], [60, 3, -1], [60, 40, 1]);
        const failed = await countFailures(square, 1);
        assert.ok(failed >= 20 && failed < 40, `${failed} of 40`);
        assert.equal(await countFailures(square, 16), 40);
      });

      test(`${dtype}: sums of several products and matrices are judged as one`, async () => {
        const inputs = uniform(SUM, 6);
        assert.equal(await verdict(machine, SUM, dtype, inputs), 'clean');
        const fault: Fault = ({ offset, rows }, data) => {
          if (rows === M) data[offset]! += 1000;
        };
        assert.equal(await verdict(machine, SUM, dtype, inputs, fault), 'failed');
      });

      test(`${dtype}: right products are never doubted: uniform, graded, huge, tiny, subnormal, cancelling`, async () => {
        const { smallest } = DTYPES[dtype];
        const top = dtype === 'float64' ? 2 ** 500 : 2 ** 60;
        const scales: Record<string, (i: number, j: number) => number> = {
          uniform: () => 1,
          'graded by rows': i => 2 ** (i - 35),
          'graded by columns': (_i, j) => 2 ** (j - 30),
          'graded both ways': (i, j) => 2 ** ((i * 7 + j * 13) % 60) / 2 ** 30,
          huge: () => top,
          'overflowing here and there': (i, j) => ((i + j) % 9 === 0 ? top ** 2 : 1),
          tiny: () => 1 / top,
          subnormal: () => smallest * 1000,
          'mixed with subnormals': (i, j) => ((i + j) % 2 === 0 ? smallest : 1),
          zero: () => 0,
        };
        for (const [name, scale] of Object.entries(scales)) {
          for (let seed = 0; seed < 10; seed++) {
            const inputs = uniform(PRODUCT, seed, scale);
            assert.equal(
              await verdict(machine, PRODUCT, dtype, inputs, undefined, seed),
              'clean',
              `${name} ${seed}`,
            );
          }
        }
      });

      test(`${dtype}: scale factors beyond the dtype, and products that cancel, are never doubted`, async () => {
        for (const factor of [1e-300, 1e-44, 1e-30, 1e30, 1e300, 0]) {
          const root = build.add(build.scale(build.constant(factor), PRODUCT), X);
          assert.equal(await verdict(machine, root, dtype, uniform(root, 8)), 'clean', String(factor));
          const subnormal = uniform(root, 8, () => DTYPES[dtype].smallest * 9);
          assert.equal(await verdict(machine, root, dtype, subnormal), 'clean', `${factor}, subnormal`);
        }
        // Overflow before a small factor, underflow before a large one, a factor that float32 holds to one digit.
        for (const [factor, size] of [
          [2 ** -40, 2 ** 65],
          [2 ** 60, 2 ** -80],
          [1e-44, 2 ** 55],
        ] as const) {
          const scaled = build.scale(build.constant(factor), PRODUCT);
          const inputs = uniform(scaled, 12, () => size);
          assert.equal(await verdict(machine, scaled, dtype, inputs), 'clean', `${factor} times ${size}`);
        }
        const difference = build.add(PRODUCT, build.negate(build.matmul(build.add(A, A), B)));
        assert.equal(await verdict(machine, difference, dtype, uniform(difference, 9)), 'clean');
      });

      test(`${dtype}: NaN and infinities in the operands excuse their rows, and no others`, async () => {
        for (const special of [Number.NaN, Number.POSITIVE_INFINITY]) {
          const random = seededRandom(10);
          const inputs = inputsOfSize(PRODUCT, (name, i) => (name === 'A' && i === 20 ? special : random()));
          assert.equal(await verdict(machine, PRODUCT, dtype, inputs), 'clean');
          const fault: Fault = ({ offset, rowStride }, data) => {
            data[offset + 21 * rowStride]! += 1;
          };
          assert.equal(await verdict(machine, PRODUCT, dtype, inputs, fault), 'failed');
        }
      });

      test(`${dtype}: elements that meet NaN or an infinity must be what IEEE 754 says`, async () => {
        const { NaN: nan, POSITIVE_INFINITY: inf } = Number;
        // [what A(20, 7) is, what B(9, 33) is, what X(40, 2) is]: rows 20 and 40 and column 33 are not finite.
        for (const [inA, inB, inX] of [
          [nan, nan, nan],
          [inf, -inf, inf],
          [-inf, inf, nan],
          [1, inf, 1],
          [inf, 1, 1],
          [1, 1, -inf],
        ] as const) {
          const root = build.add(build.scale(build.constant(-3), PRODUCT), X);
          const random = seededRandom(14);
          const inputs = inputsOfSize(root, (name, i, j) => {
            if (name === 'A' && i === 20 && j === 7) return inA;
            if (name === 'B' && i === 9 && j === 33) return inB;
            if (name === 'X' && i === 40 && j === 2) return inX;
            return random();
          });
          const label = `${inA}, ${inB}, ${inX}`;
          assert.equal(await verdict(machine, root, dtype, inputs), 'clean', label);
          for (const [i, j] of [
            [20, 50],
            [20, 33],
            [5, 33],
            [5, 6],
            [40, 2],
            [40, 3],
          ] as const) {
            const fault: Fault = ({ offset, rowStride, colStride }, data) => {
              const at = offset + i * rowStride + j * colStride;
              data[at] = Number.isFinite(data[at]) ? data[at]! + 1 : 0;
            };
            assert.equal(
              await verdict(machine, root, dtype, inputs, fault),
              'failed',
              `${label}: ${i}, ${j}`,
            );
            const lost: Fault = ({ offset, rowStride, colStride }, data) => {
              const at = offset + i * rowStride + j * colStride;
              data[at] = Number.isNaN(data[at]) ? inf : nan;
            };
            assert.equal(await verdict(machine, root, dtype, inputs, lost), 'failed', `${label}: ${i}, ${j}`);
          }
        }
      });
    }
  });
}

test('members of a stack are judged one by one', async () => {
  const machine = startMachine({ kernel: 'wasm' });
  const h = build.input('H', 'direction', shape(K, 3));
  const root = build.matmul(A, h);
  const random = seededRandom(11);
  const inputs: Inputs = {
    A: [tabulate(M, K, random)],
    H: Array.from({ length: 9 }, () => tabulate(K, 3, random)),
  };
  for (const member of [0, 4, 8]) {
    const fault: Fault = ({ offset, memberStride }, data) => {
      data[offset + member * memberStride + 50]! += 0.001;
    };
    const { execution } = prepare(machine, programOf(root, 'float64', 9), inputs, {
      threads: faulty(machine, fault),
    });
    await assert.rejects(execution.run(), { code: 'verification-failed', message: /^1 rows/ });
  }
  await machine.close();
});
