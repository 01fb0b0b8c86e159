// The bound that is reported with a result, against the exact result: it is never exceeded, and it is not much larger
// than errors of rounding are. Entries are whole numbers as wide as the dtype, so that every product is rounded.

import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { derive } from '../../../shared/math/derive.ts';
import type { Dtype } from '../../../shared/math/dtype.ts';
import { inputsOf, type Node } from '../../../shared/math/graph.ts';
import { componentwiseFactor, magnitudeOf, magnitudeOperand } from '../../../shared/math/magnitude.ts';
import { type Shape, shape } from '../../../shared/math/shape.ts';
import type { Order } from '../../../shared/math/view.ts';
import type { Program } from '../../../workers/plan/lower.ts';
import { graphOf } from '../../shared/math/expressions.ts';
import { type Matrix, tabulate } from '../../support/evaluate.ts';
import { type ExactMatrix, evaluateExactly, exactMatrix } from '../../support/evaluate-exact.ts';
import { seededRandom } from '../kernels/fixture.ts';
import { prepare, startMachine } from '../machine.ts';

const SEED = 5;
/** What fills a significand, signs aside. */
const ENTRY_MAX = { float64: 2 ** 52, float32: 2 ** 23 } as const satisfies Record<Dtype, number>;
/** What the worst case of rounding is above its usual one: √k for each product of length k, and the cancelling of signs. */
/** The same of the element whose bound is the tightest. */
const CLOSEST_MAX = { product: 500, chain: 3_000 };
const LOOSENESS_MAX = { product: 2_000, chain: 100_000 };

const SHAPES = new Map<string, Shape>(
  Object.entries({
    A: shape(17, 60),
    B: shape(60, 23),
    C: shape(17, 23),
    D: shape(23, 17),
    W: shape(5, 4),
    L: shape(6, 5),
    R: shape(4, 3),
    S: shape(5, 5),
    T: shape(4, 4),
    u: shape(60, 1),
    v: shape(60, 1),
  }),
);

/** Each with how loose its bound may be. */
const EXPRESSIONS: Readonly<Record<string, keyof typeof LOOSENESS_MAX>> = {
  'A*B': 'product',
  "B'*A'": 'product',
  'A*v': 'product',
  "u'*v": 'product',
  '3*A*B-7*C': 'product',
  'A*B+C*D*C': 'chain',
  'A*B*D': 'chain',
  "(A*B)'*(A*B)": 'chain',
  "(C+D')*(D-3*C')": 'chain',
  "12345677*C-7654321*D'": 'product',
  "(u'*v)*C": 'chain',
  "(u'*v)*C+A*B*3": 'chain',
};
const JACOBIANS: Readonly<Record<string, keyof typeof LOOSENESS_MAX>> = {
  'L*W*R': 'product',
  '12345677*S*W+7654321*W*T': 'product',
  '(S*S)*W*(T*T)': 'chain',
};

for (const dtype of ['float64', 'float32'] as const) {
  describe(`the error bound, ${dtype} (seed ${SEED})`, () => {
    const machine = startMachine({ roomBytes: 2 ** 20 });
    after(() => machine.close());

    /** @param stacked names of inputs with a matrix for each member */
    async function compute(
      outputs: readonly Node[],
      members: number,
      stacked: readonly string[],
      order: Order,
    ) {
      const [root] = outputs as readonly [Node];
      const random = seededRandom(SEED);
      const exact: Record<string, ExactMatrix[]> = {};
      const inputs: Record<string, Matrix[]> = {};
      for (const { params, shape: own } of inputsOf([root])) {
        const drawn = Array.from({ length: stacked.includes(params.name) ? members : 1 }, () =>
          tabulate(own.rows, own.cols, () => Math.trunc(random() * ENTRY_MAX[dtype])),
        );
        inputs[params.name] = drawn;
        exact[params.name] = drawn.map(({ data }) =>
          exactMatrix(own.rows, own.cols, (i, j) => BigInt(data[i * own.cols + j]!)),
        );
      }
      for (const name of outputs.length > 1 ? Object.keys(inputs) : [])
        inputs[`|${name}|`] = inputs[name]!.map(({ rows, cols, data }) => ({
          rows,
          cols,
          data: data.map(Math.abs),
        }));
      const isStacked = (name: string) => stacked.includes(magnitudeOperand(name) ?? name);
      const program: Program = {
        outputs,
        order,
        dtype,
        members: [0, members],
        inputs: new Map(
          Object.keys(inputs).map(name => [name, { order: 'C', dtype: 'float64', stacked: isStacked(name) }]),
        ),
        chunkBytes: 4096,
      };
      const prepared = prepare(machine, program, inputs);
      const { errorBound } = await prepared.execution.run();
      const inOrder = (matrix: ExactMatrix) =>
        order === 'C' ? matrix : matrix[0]!.map((_, j) => matrix.map(row => row[j]!));
      const wanted = Array.from({ length: members }, (_, member) =>
        inOrder(
          evaluateExactly(
            root,
            Object.fromEntries(Object.entries(exact).map(([name, all]) => [name, all[member] ?? all[0]!])),
          ),
        ),
      ).flat(2);
      return { errorBound, wanted, computed: [...prepared.result()] };
    }

    /** Σ|C − Ĉ| and what was said of it. */
    async function measure(root: Node, members = 1, stacked: readonly string[] = [], order: Order = 'C') {
      const { errorBound, wanted, computed } = await compute([root], members, stacked, order);
      let [error, size] = [0, 0];
      for (const [e, value] of computed.entries()) {
        const difference = BigInt(value) - wanted[e]!;
        error += Math.abs(Number(difference));
        size += Math.abs(value);
      }
      return { error, size, bound: errorBound };
    }

    /** The bound of each element holds, and the one nearest to its error is no more than `looseness` times it. */
    async function checkEach(
      root: Node,
      looseness: number,
      members = 1,
      stacked: readonly string[] = [],
      order: Order = 'C',
    ) {
      const outputs = [root, magnitudeOf(root)];
      const { errorBound, wanted, computed } = await compute(outputs, members, stacked, order);
      const { bound: alone } = await measure(root, members, stacked, order);
      // Sums of what threads found, in any order; the magnitude itself is no part of the result.
      for (const part of ['absolute', 'size'] as const)
        assert.ok(Math.abs(errorBound![part] - alone![part]) <= 1e-12 * alone![part], part);
      const factor = componentwiseFactor(root, dtype);
      assert.equal(computed.length, 2 * wanted.length);
      let closest = Number.POSITIVE_INFINITY;
      for (const [e, exact] of wanted.entries()) {
        const error = Math.abs(Number(BigInt(computed[e]!) - exact));
        const bound = factor * computed[wanted.length + e]!;
        assert.ok(error <= bound, `element ${e}: ${error} ≤ ${bound}`);
        if (error > 0) closest = Math.min(closest, bound / error);
      }
      assert.ok(closest <= looseness, `at least ${closest} times the error`);
    }

    function check(found: Awaited<ReturnType<typeof measure>>, looseness: number): void {
      const { error, size, bound } = found;
      assert.ok(bound !== undefined);
      assert.ok(error > 0, 'something was rounded');
      assert.ok(error <= bound.absolute, `${error} ≤ ${bound.absolute}`);
      assert.ok(bound.absolute <= looseness * error, `${bound.absolute / error} times the error`);
      assert.ok(Math.abs(bound.size - size) <= 1e-9 * size, `${bound.size} is ${size}`);
    }

    for (const [text, kind] of Object.entries(EXPRESSIONS)) {
      test(`holds for ${text}, and is no more than ${LOOSENESS_MAX[kind]} times the error`, async () => {
        check(await measure(graphOf(text, SHAPES)), LOOSENESS_MAX[kind]);
      });
    }

    for (const [text, kind] of Object.entries(JACOBIANS)) {
      test(`holds for the Jacobian of ${text}`, async () => {
        const jacobian = derive(graphOf(text, SHAPES), 'jacobian', 'W', 1);
        check(await measure(jacobian, 1, [], 'F'), LOOSENESS_MAX[kind]);
      });
    }

    test('of a stack is that of all members', async () => {
      const root = graphOf('A*B*D', SHAPES);
      check(await measure(root, 5, ['B']), LOOSENESS_MAX.chain);
      check(await measure(root, 5, ['A', 'D']), LOOSENESS_MAX.chain);
      const alone = await measure(graphOf('A*B', SHAPES));
      const stack = await measure(graphOf('A*B', SHAPES), 4, ['B']);
      assert.ok(stack.bound!.absolute > 3 * alone.bound!.absolute);
    });

    for (const [text, kind] of Object.entries(EXPRESSIONS)) {
      test(`of each element holds for ${text}`, () => checkEach(graphOf(text, SHAPES), CLOSEST_MAX[kind]));
    }

    for (const [text, kind] of Object.entries(JACOBIANS)) {
      test(`of each element holds for the Jacobian of ${text}`, () =>
        checkEach(derive(graphOf(text, SHAPES), 'jacobian', 'W', 1), CLOSEST_MAX[kind], 1, [], 'F'));
    }

    test('of each element holds for the members of a stack', async () => {
      const root = graphOf('A*B*D', SHAPES);
      await checkEach(root, CLOSEST_MAX.chain, 5, ['B']);
      await checkEach(root, CLOSEST_MAX.chain, 5, ['A', 'D']);
    });

    test('is 0 where nothing is rounded', async () => {
      for (const text of ["A'", '-A'])
        assert.deepEqual((await measure(graphOf(text, SHAPES))).bound?.absolute, 0);
      const jacobian = derive(graphOf('L*W', SHAPES), 'jacobian', 'W', 1);
      assert.deepEqual((await measure(jacobian, 1, [], 'F')).bound?.absolute, 0);
    });
  });
}

test('nothing finite is said of results that are not finite', async t => {
  const machine = startMachine();
  t.after(() => machine.close());
  const root = graphOf(
    'A*B',
    new Map([
      ['A', shape(2, 2)],
      ['B', shape(2, 2)],
    ]),
  );
  const program: Program = {
    outputs: [root],
    order: 'C',
    dtype: 'float64',
    members: [0, 1],
    inputs: new Map(['A', 'B'].map(name => [name, { order: 'C', dtype: 'float64', stacked: false }])),
    chunkBytes: 4096,
  };
  for (const value of [Number.NaN, Number.POSITIVE_INFINITY, 1e200]) {
    const all = [tabulate(2, 2, () => value)];
    const { execution } = prepare(machine, program, { A: all, B: all });
    assert.equal((await execution.run()).errorBound, undefined, String(value));
  }
});
