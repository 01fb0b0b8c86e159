// Whole plans where sizes matter: more tiles than threads, nothing at all, cancelling and progress on the way.

import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import type { Dtype } from '../../../shared/math/dtype.ts';
import { build, inputsOf, type Node } from '../../../shared/math/graph.ts';
import { shape } from '../../../shared/math/shape.ts';
import { Cancelled } from '../../../workers/execute/run-plan.ts';
import type { Threads } from '../../../workers/execute/threads.ts';
import type { Program } from '../../../workers/plan/lower.ts';
import { failsWith } from '../../shared/io/streams.ts';
import { evaluate, type Matrix } from '../../support/evaluate.ts';
import { integers } from '../../support/integers.ts';
import { type Inputs, machineFor, prepare, runProgram, startMachine } from '../machine.ts';

const input = (name: string, rows: number, cols: number, role: 'operand' | 'direction' = 'operand') =>
  build.input(name, role, shape(rows, cols));

function program(outputs: readonly Node[], dtype: Dtype = 'float64', members = 1): Program {
  return {
    outputs,
    order: 'C',
    dtype,
    members: [0, members],
    inputs: new Map(
      inputsOf(outputs).map(({ params }) => [
        params.name,
        { order: 'C', dtype: 'float64', stacked: params.role === 'direction' },
      ]),
    ),
    chunkBytes: 4096,
  };
}

function values(outputs: readonly Node[], members = 1): Inputs {
  return Object.fromEntries(
    inputsOf(outputs).map(({ params, shape: { rows, cols } }, index) => [
      params.name,
      Array.from({ length: params.role === 'direction' ? members : 1 }, (_, s) =>
        integers(rows, cols, 5 * index + s),
      ),
    ]),
  );
}

function oracle(root: Node, inputs: Inputs, member = 0): Matrix {
  const own = Object.entries(inputs).map(([name, all]): [string, Matrix] => [name, all[member] ?? all[0]!]);
  return evaluate(root, Object.fromEntries(own));
}

const plain = (numbers: Iterable<number>) => Array.from(numbers, value => value + 0);

/** Runs before every task, between the plan and the threads. */
function watched(threads: Threads, beforeTask: (kind: string) => void): Threads {
  return {
    ...threads,
    run: (task, tiles, control) => {
      beforeTask(task.kind);
      return threads.run(task, tiles, control);
    },
  };
}

describe('execution', () => {
  const machine = startMachine({ threads: 3, roomBytes: 8 * 2 ** 20 });
  after(() => machine.close());

  test('products of many tiles are exact, past every block size of the kernel', async () => {
    for (const dtype of ['float64', 'float32'] as const) {
      for (const reproducible of [false, true]) {
        for (const [m, k, n] of [
          [130, 257, 129],
          [400, 3, 7],
          [2, 600, 300],
          [161, 1, 161],
        ] as const) {
          const c = build.matmul(input('A', m, k), input('B', k, n));
          const inputs = values([c]);
          const got = await runProgram(machine, program([c], dtype), inputs, { reproducible });
          assert.deepEqual(plain(got.values), plain(oracle(c, inputs).data), `${m}×${k}×${n} ${dtype}`);
          assert.equal(got.report.maxError, 0);
          assert.ok(got.report.bound > 0);
        }
      }
    }
  });

  test('sums of products, matrices and their transposes over many tiles are exact', async () => {
    const [a, b, c] = [input('A', 200, 90), input('B', 90, 150), input('C', 150, 200)];
    const sum = build.add(build.scale(build.constant(-2), build.matmul(a, b)), build.transpose(c));
    const inputs = values([sum]);
    const got = await runProgram(machine, program([sum]), inputs);
    assert.deepEqual(plain(got.values), plain(oracle(sum, inputs).data));
  });

  test('stacks of many small members, shared or own factors, are exact', async () => {
    const [a, h, g] = [input('A', 3, 4), input('H', 4, 2, 'direction'), input('G', 3, 4, 'direction')];
    for (const root of [build.matmul(a, h), build.matmul(build.transpose(a), g), build.matmul(g, h)]) {
      const members = 300;
      const inputs = values([root], members);
      const got = await runProgram(machine, program([root], 'float64', members), inputs);
      const wanted = Array.from({ length: members }, (_, s) => oracle(root, inputs, s).data).flat();
      assert.deepEqual(plain(got.values), plain(wanted));
      assert.equal(got.report.maxError, 0);
    }
  });

  test('zero rows, columns, inner elements and members are ordinary', async () => {
    for (const [m, k, n] of [
      [0, 3, 4],
      [3, 0, 4],
      [3, 4, 0],
      [0, 0, 0],
    ] as const) {
      for (const members of [0, 1, 3]) {
        const [a, h] = [input('A', m, k), input('H', k, n, 'direction')];
        const product = build.matmul(a, h);
        for (const root of [
          product,
          build.add(product, product),
          build.transpose(product),
          build.inner(product, product),
        ]) {
          const inputs = values([root], members);
          const got = await runProgram(machine, program([root], 'float64', members), inputs);
          const zeros = new Array(root.shape.rows * root.shape.cols * members).fill(0);
          assert.deepEqual(plain(got.values), zeros, `${m}×${k}×${n} × ${members}`);
        }
      }
    }
  });

  test('several numbers lie one after the other, each for every member, shared ones too', async () => {
    const [a, h] = [input('A', 3, 3), input('H', 3, 3, 'direction')];
    const outputs = [
      build.inner(h, h),
      build.inner(a, a),
      build.inner(build.matmul(a, h), h),
      build.inner(a, a),
    ];
    const inputs = values(outputs, 4);
    const got = await runProgram(machine, program(outputs, 'float64', 4), inputs);
    const wanted = outputs.flatMap(output => [0, 1, 2, 3].map(s => oracle(output, inputs, s).data[0]!));
    assert.deepEqual(plain(got.values), plain(wanted));
  });

  test('NaN and infinities pass as IEEE 754 says, and a product that holds them is not doubted', async () => {
    const c = build.matmul(input('A', 2, 2), input('B', 2, 2));
    const inputs: Inputs = {
      A: [{ rows: 2, cols: 2, data: [Number.NaN, 1, 1, 0] }],
      B: [{ rows: 2, cols: 2, data: [1, 2, 3, Number.POSITIVE_INFINITY] }],
    };
    const { values: got } = await runProgram(machine, program([c]), inputs);
    assert.deepEqual([...got], [Number.NaN, Number.NaN, 1, Number.NaN]);
  });

  test('constants are in memory where a step needs them there', async () => {
    const s = build.matmul(input('A', 1, 3), input('B', 3, 1));
    const root = build.matmul(build.add(s, build.constant(2.5)), input('C', 1, 3));
    const inputs = values([root]);
    for (const dtype of ['float64', 'float32'] as const) {
      const got = await runProgram(machine, program([root], dtype), inputs);
      assert.deepEqual(plain(got.values), plain(oracle(root, inputs).data));
    }
  });

  test('cancelling ends it between tiles, wherever it is', async () => {
    const [a, b] = [input('A', 64, 64), input('B', 64, 64)];
    const chain = build.matmul(build.matmul(a, b), build.add(a, b));
    const kinds: string[] = [];
    await prepare(machine, program([chain]), values([chain]), {
      threads: watched(machine.threads, kind => void kinds.push(kind)),
    }).execution.run();
    const product = ['combine', 'image', 'residual', 'image', 'residual'];
    assert.deepEqual(kinds, [...product, 'combine', 'measure', 'measure', 'measure', ...product]);
    for (const at of kinds.keys()) {
      let count = 0;
      const prepared = prepare(machine, program([chain]), values([chain]), {
        threads: watched(machine.threads, () => {
          if (count++ === at) prepared.execution.cancel();
        }),
      });
      await assert.rejects(prepared.execution.run(), Cancelled);
      assert.equal(count, at + 1, 'nothing is begun afterwards');
      prepared.assertContained();
    }
  });

  test('progress never falls, never passes the whole, and ends there', async () => {
    const [a, b] = [input('A', 300, 200), input('B', 200, 300)];
    const root = build.matmul(build.matmul(a, b), build.transpose(build.matmul(a, b)));
    const seen: bigint[] = [];
    const prepared = prepare(machine, program([root]), values([root]), {
      threads: watched(machine.threads, () => void seen.push(prepared.execution.flopsDone())),
    });
    const { execution } = prepared;
    assert.equal(execution.flopsDone(), 0n);
    const run = execution.run();
    const timer = setInterval(() => seen.push(execution.flopsDone()), 1);
    await run;
    clearInterval(timer);
    seen.push(execution.flopsDone());
    assert.deepEqual(
      seen,
      seen.toSorted((x, y) => Number(x - y)),
    );
    assert.equal(seen.at(-1), execution.flopsTotal);
    assert.equal(execution.flopsTotal, BigInt(2 * 300 * 200 * 300 + 2 * 300 * 300 * 300));
  });
});

describe('a plan that one thread runs whole', () => {
  const machine = startMachine({ threads: 2, roomBytes: 8 * 2 ** 20 });
  after(() => machine.close());
  const { bundled } = machine.threads;

  test('has the result and the report that it has when all share its tasks', async () => {
    const [a, h] = [input('A', 40, 40), input('H', 40, 40, 'direction')];
    const product = build.matmul(a, h);
    const roots = [
      build.matmul(product, build.scale(build.constant(2.5), h)),
      build.add(build.scale(build.constant(-2), product), build.transpose(h)),
      build.matmul(a, input('none', 40, 0)),
      build.inner(product, h),
    ];
    for (const root of roots) {
      for (const reproducible of [false, true]) {
        const inputs = values([root], 3);
        const [shared, whole] = [
          await runProgram(machine, program([root], 'float64', 3), inputs, { reproducible }),
          await runProgram(machine, program([root], 'float64', 3), inputs, {
            reproducible,
            threads: bundled,
          }),
        ];
        assert.deepEqual([...whole.values], [...shared.values]);
        const told = ({ report: { errorBound, bound, maxError, seeds } }: typeof whole) => {
          return { errorBound, bound, maxError, seeds: seeds.length };
        };
        assert.deepEqual(told(whole), told(shared));
      }
    }
  });

  test('many at once end each with its own', async context => {
    // One thread, for all of them lie in the same memory.
    const alone = machineFor(context, { threads: 1 });
    const root = build.matmul(input('A', 8, 8), input('B', 8, 8));
    const inputs = values([root]);
    const prepared = prepare(alone, program([root]), inputs, { threads: alone.threads.bundled });
    const reports = await Promise.all(Array.from({ length: 50 }, () => prepared.execution.run()));
    assert.ok(reports.every(({ seeds, maxError }) => seeds.length === 1 && maxError === 0));
    assert.deepEqual(plain(prepared.result()), plain(oracle(root, inputs).data));
    assert.equal(prepared.execution.flopsDone(), prepared.execution.flopsTotal);
  });

  test('is cancelled, and fails where an operand has changed, without a fault of the thread', async () => {
    const root = build.matmul(input('A', 8, 8), input('B', 8, 8));
    const cancelled = prepare(machine, program([root]), values([root]), { threads: bundled });
    const run = cancelled.execution.run();
    cancelled.execution.cancel();
    await assert.rejects(run, Cancelled);
    const changed = prepare(machine, program([root]), values([root]), {
      threads: bundled,
      // Fingerprints that nobody took.
      guards: (_plan, [byteOffset = 0]) => [{ byteOffset, byteLength: 512, prints: machine.room.byteOffset }],
    });
    await failsWith('unavailable', changed.execution.run());
    assert.deepEqual(machine.faults, []);
  });
});

test('a result has the same bytes on any number of threads, of either reproducible kernel', async () => {
  const root = build.matmul(build.matmul(input('A', 150, 300), input('B', 300, 140)), input('C', 140, 33));
  const inputs = Object.fromEntries(
    Object.entries(values([root])).map(([name, [m]]) => [
      name,
      [{ ...m!, data: m!.data.map((value, index) => value / 7 + index / 1013) }],
    ]),
  );
  const results: string[] = [];
  for (const [kernel, threads] of [
    ['wasm', 1],
    ['wasm', 4],
    ['reference', 2],
  ] as const) {
    const machine = startMachine({ kernel, threads, roomBytes: 4 * 2 ** 20 });
    const { values: got } = await runProgram(machine, program([root]), inputs, { reproducible: true });
    results.push(Buffer.from(got.buffer).toString('base64'));
    await machine.close();
  }
  assert.deepEqual(results, [results[0], results[0], results[0]]);
});
