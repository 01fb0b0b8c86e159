// Each rewrite by itself, and what holds for all: the same value, never more flops, nothing lost that IEEE 754 keeps.

import { deepEqual, equal, ok } from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { flopsOf } from '../../../shared/math/cost.ts';
import { cotangentOf } from '../../../shared/math/derive.ts';
import { build, inputsOf, type Node, topologicalOrder } from '../../../shared/math/graph.ts';
import { printText } from '../../../shared/math/print.ts';
import { type Shape, shape } from '../../../shared/math/shape.ts';
import { pullScales, pushTransposes, simplify } from '../../../shared/math/simplify.ts';
import { vjp } from '../../../shared/math/vjp.ts';
import { evaluate, matrix } from '../../support/evaluate.ts';
import { forExpressions, graphOf, integerInputs, plainZeros } from './expressions.ts';

const shapes = new Map<string, Shape>([
  ...['A', 'B', 'C', 'D'].map((name): [string, Shape] => [name, shape(2, 2)]),
  ['s', shape(1, 1)],
  ['t', shape(1, 1)],
  ['x', shape(2, 1)],
]);
const graph = (text: string) => graphOf(text, shapes);
const printed = (roots: readonly Node[]) => roots.map(printText).join('; ');

/** Flops of the matrix products alone: what moves with a scale factor is of lower order. */
function productFlops(roots: readonly Node[]): number {
  return topologicalOrder(roots)
    .filter(node => node.primitive === 'matmul')
    .reduce((total, { inputs: [a, b] }) => total + 2 * a.shape.rows * a.shape.cols * b.shape.cols, 0);
}

/** Operands whose product has these sides: A0 is sides[0]×sides[1], and so on. */
function chainOf(sides: readonly number[]): Map<string, Shape> {
  return new Map(sides.slice(1).map((cols, i): [string, Shape] => [`A${i}`, shape(sides[i]!, cols)]));
}

/** Of the scalar multiplications that a chain costs, the least, by the definition. */
function leastMultiplications(sides: readonly number[]): number {
  const known = new Map<string, number>();
  const least = (first: number, last: number): number => {
    const key = `${first} ${last}`;
    if (last - first < 2) return 0;
    if (!known.has(key)) {
      const inner = Array.from({ length: last - first - 1 }, (_, i) => first + 1 + i);
      const costs = inner.map(
        at => least(first, at) + least(at, last) + sides[first]! * sides[at]! * sides[last]!,
      );
      known.set(key, Math.min(...costs));
    }
    return known.get(key)!;
  };
  return least(0, sides.length - 1);
}

describe('pushTransposes', () => {
  const table = [
    ["A''", 'A'],
    ["A'''", "A'"],
    ["(A*B)'", "B'*A'"],
    ["(A*B*C')'", "C*(B'*A')"],
    ["(A + B')'", "A' + B"],
    ["(s*A)'", "s*A'"],
    ["(-A)'", "-A'"],
    ["s'", 's'],
    ["(x'*A*x)'", "x'*A*x"],
    ["(A*B)*(A*B)'", "A*B*(A*B)'"],
  ] as const;
  for (const [text, expected] of table) {
    test(`${text} becomes ${expected}`, () => equal(printed(pushTransposes([graph(text)])), expected));
  }

  test('for reading, what is needed both ways is written both ways', () => {
    equal(printed(pushTransposes([graph("(A*B)*(A*B)'")], true)), "A*B*(B'*A')");
  });

  test('a thousand transposes are two or one', () => {
    let node = graph('A*B');
    for (let i = 0; i < 5001; i += 1) node = build.transpose(node);
    equal(printed(pushTransposes([node])), "B'*A'");
  });
});

describe('pullScales', () => {
  const table = [
    ['1*A', 'A'],
    ['-(-A)', 'A'],
    ['2*(3*A)', '6*A'],
    ['(2*A)*(3*B)', '6*(A*B)'],
    ['(s*A)*(t*B)', 's*(t*(A*B))'],
    ['s*(2*A)', '2*(s*A)'],
    ['(2*s)*A', '2*(s*A)'],
    ["(2*A)'", "2*A'"],
    ['2*3', '6'],
    ['s*2*A', '2*(s*A)'],
    ['(2 + 3)*A', '5*A'],
    ['2 - 2', '0'],
    ['A + A', '2*A'],
    ['2*A + 3*A', '5*A'],
    ['-A - 2*A', '-3*A'],
    ['s*A + 2*(s*A)', '3*(s*A)'],
    ['A - A', 'A - A'],
    ['3*A - A', '3*A - A'],
    ['0*A', '0*A'],
    ['0*(0*A)', '0*A'],
    ["((2*s)*x')*A", "2*(s*x'*A)"],
  ] as const;
  for (const [text, expected] of table) {
    test(`${text} becomes ${expected}`, () => equal(printed(pullScales([graph(text)])), expected));
  }

  test('numbers whose product is not finite, or lost to underflow, are kept apart', () => {
    equal(printed(pullScales([graph('1e300*(1e300*A)')])), '1e+300*(1e+300*A)');
    equal(printed(pullScales([graph('1e-200*(1e-200*A)')])), '1e-200*(1e-200*A)');
    equal(printed(pullScales([graph('1e308*A + 1e308*A')])), '1e+308*A + 1e+308*A');
    equal(printed(pullScales([graph('1e308 + 1e308')])), '1e+308 + 1e+308');
  });

  test('in inner and Kronecker products and vec, too', () => {
    const [two, a, b] = [build.constant(2), graph('A'), graph('B')];
    equal(printed(pullScales([build.inner(build.scale(two, a), build.negate(b))])), "-2*tr(A'*B)");
    equal(
      printed(pullScales([build.kron(build.scale(two, a), b, true)])),
      '2*(kron(A, B)*commutation(2, 2))',
    );
    equal(printed(pullScales([build.vec(build.scale(two, a))])), '2*vec(A)');
    equal(printed(pullScales([build.transpose(build.scale(two, a))])), "2*A'");
    equal(printed(pullScales([build.transpose(build.scale(two, build.transpose(a)))])), '2*A');
  });
});

describe('simplify', () => {
  test('a chain is associated to the least flops', () => {
    const chain = new Map([
      ['A', shape(30, 35)],
      ['B', shape(35, 15)],
      ['C', shape(15, 5)],
      ['D', shape(5, 10)],
      ['E', shape(10, 20)],
      ['F', shape(20, 25)],
    ]);
    // The example of Cormen et al., §15.2: 15,125 multiplications.
    const [best] = simplify([graphOf('A*B*C*D*E*F', chain)]);
    equal(printText(best!), 'A*(B*C)*(D*E*F)');
    equal(flopsOf([best!], 1), 2n * 15_125n);
  });

  test('ties go to the left', () => {
    equal(printed(simplify([graph('A*(B*(C*D))')])), 'A*B*C*D');
  });

  test('the chain of a stack precomputes what the members share', () => {
    const long = new Map([
      ['A', shape(8, 8)],
      ['B', shape(8, 8)],
    ]);
    const direction = build.input('x', 'direction', shape(8, 1));
    const f = build.matmul(graphOf('A', long), build.matmul(graphOf('B', long), direction));
    equal(printed(simplify([f], 1)), 'A*(B*x)');
    equal(printed(simplify([f], 1000)), 'A*B*x');
  });

  test('a shared product is kept or dissolved, whichever costs less', () => {
    const kept = new Map([
      ['A', shape(10, 10)],
      ['X', shape(10, 10)],
      ['Y', shape(10, 10)],
    ]);
    equal(printed(simplify([graphOf('A*A*X + A*A*Y', kept)])), 'A*A*X + A*A*Y');
    const dissolved = new Map([
      ['A', shape(100, 100)],
      ['x', shape(100, 1)],
      ['y', shape(100, 1)],
    ]);
    equal(printed(simplify([graphOf('A*A*x + A*A*y', dissolved)])), 'A*(A*x) + A*(A*y)');
  });

  test('a chain in which shapes repeat is associated as any other', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 1, maxLength: 3 }),
        fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 1, maxLength: 4 }),
        fc.integer({ min: 2, max: 5 }),
        (period, rest, times) => {
          const sides = [...Array.from({ length: times }, () => period).flat(), ...rest, ...period];
          const chain = chainOf(sides);
          const [best] = simplify([graphOf([...chain.keys()].join('*'), chain)]);
          equal(productFlops([best!]), 2 * leastMultiplications(sides));
        },
      ),
      { numRuns: 50 },
    );
  });

  test('a power takes much less time than as long a chain of all different shapes', () => {
    const [power, mixed] = [Array(500).fill(2), Array.from({ length: 500 }, (_, i) => i + 1)].map(sides => {
      const chain = chainOf(sides);
      return graphOf([...chain.keys()].join('*'), chain);
    });
    const milliseconds = (f: Node) => {
      const started = performance.now();
      simplify([f]);
      return performance.now() - started;
    };
    // The best of several: other processes only ever add to one.
    const rounds = Array.from({ length: 8 }, () => [milliseconds(power!), milliseconds(mixed!)] as const);
    const [powerMs, mixedMs] = [0, 1].map(of => Math.min(...rounds.map(round => round[of]!)));
    ok(powerMs! < mixedMs! / 2, `${powerMs} ms and ${mixedMs} ms`);
  });

  test('the value stays, the flops of products do not grow, also in derivatives', () => {
    forExpressions((_text, f) => {
      const operand = inputsOf([f]).find(({ params }) => params.name === 'W')!;
      const roots = [f, vjp(f, cotangentOf(f), operand)!];
      const simplified = simplify(roots);
      const inputs = integerInputs(roots);
      for (const [i, root] of roots.entries()) {
        deepEqual(plainZeros(evaluate(simplified[i]!, inputs)), plainZeros(evaluate(root, inputs)));
      }
      ok(productFlops(simplified) <= productFlops(roots));
    });
  });

  test('infinities and NaN come through: no product with zero is dropped', () => {
    const a = matrix([
      [Number.POSITIVE_INFINITY, Number.NaN],
      [1, 2],
    ]);
    for (const text of ['0*A', 'A - A', '(0*A)*1', '2*A - 2*A', "(0*A')'", '3*A - A - A']) {
      const f = graph(text);
      deepEqual(evaluate(simplify([f])[0]!, { A: a }), evaluate(f, { A: a }), text);
    }
  });

  test('the longest chain an expression can hold is done in good time', () => {
    const chain = new Map(
      Array.from({ length: 500 }, (_, i): [string, Shape] => [
        `A${i}`,
        shape(1 + ((i * 37) % 91), 1 + (((i + 1) * 37) % 91)),
      ]),
    );
    const started = performance.now();
    simplify([graphOf([...chain.keys()].join('*'), chain)]);
    ok(performance.now() - started < 5000);
  });
});
