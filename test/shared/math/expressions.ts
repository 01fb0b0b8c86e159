// What the tests of this folder share: expressions from text, integer matrices, and an oracle for derivatives that
// knows no rule. F(W + tH) is a polynomial in t, so its linear coefficient follows exactly from values at t = 0…d.

import fc from 'fast-check';
import { assert } from '../../../shared/assert.ts';
import { buildGraph } from '../../../shared/math/build-graph.ts';
import { inputsOf, type Node } from '../../../shared/math/graph.ts';
import { parseExpression } from '../../../shared/math/parse.ts';
import { type Shape, shape } from '../../../shared/math/shape.ts';
import { elementAt, evaluate, type Matrix, tabulate } from '../../support/evaluate.ts';

/** Operands of every small shape: M23 is 2×3. W is 2×3, V is 3×3, s and t are 1×1, x and y columns of 3. */
export const SHAPES: ReadonlyMap<string, Shape> = new Map([
  ...[1, 2, 3].flatMap(rows =>
    [1, 2, 3].map((cols): [string, Shape] => [`M${rows}${cols}`, shape(rows, cols)]),
  ),
  ['W', shape(2, 3)],
  ['V', shape(3, 3)],
  ['s', shape(1, 1)],
  ['t', shape(1, 1)],
  ['x', shape(3, 1)],
  ['y', shape(3, 1)],
]);

export function graphOf(text: string, shapes: ReadonlyMap<string, Shape> = SHAPES): Node {
  return buildGraph(parseExpression(text), shapes);
}

/** Small integers that look random and are the same every time. */
export function integers({ rows, cols }: Shape, seed: number): Matrix {
  return tabulate(rows, cols, (i, j) => ((((i * 7 + j * 13 + seed * 31 + i * j * seed) % 5) + 5) % 5) - 2);
}

/** A matrix of small integers for each input under the roots. */
export function integerInputs(roots: readonly Node[], seed = 1): Record<string, Matrix> {
  return Object.fromEntries(
    inputsOf(roots).map(({ params, shape: own }, index) => [params.name, integers(own, seed + index)]),
  );
}

/** dF(H) at W, exactly: d!-ish·p'(0) = Σ (−1)^(k−1)·(l/k)·Δᵏp(0) with l = lcm(1…d), for p(t) = F(W + tH) of degree d. */
export function linearCoefficient(
  f: Node,
  wrt: string,
  inputs: Readonly<Record<string, Matrix>>,
  direction: Matrix,
  degree: number,
): Matrix {
  const w = inputs[wrt];
  assert(w !== undefined, `${wrt} has a value`);
  const values = Array.from({ length: degree + 1 }, (_, t) =>
    evaluate(f, { ...inputs, [wrt]: combine(w, direction, t) }),
  );
  const multiple = [1, 2, 3, 4, 5, 6].slice(0, degree).reduce(leastCommonMultiple, 1);
  return tabulate(f.shape.rows, f.shape.cols, (i, j) => {
    let differences = values.map(value => elementAt(value, i, j));
    let total = 0;
    for (let k = 1; k <= degree; k += 1) {
      differences = differences.slice(1).map((value, index) => value - differences[index]!);
      total += (k % 2 === 1 ? 1 : -1) * (multiple / k) * differences[0]!;
    }
    assert(Number.isSafeInteger(total) && total % multiple === 0, 'the oracle is exact');
    return total / multiple;
  });
}

/** a + t·b */
export function combine(a: Matrix, b: Matrix, t: number): Matrix {
  return tabulate(a.rows, a.cols, (i, j) => elementAt(a, i, j) + t * elementAt(b, i, j));
}

/** ⟨A, B⟩ */
export function innerProduct(a: Matrix, b: Matrix): number {
  return a.data.reduce((total, value, index) => total + value * b.data[index]!, 0);
}

/** The columns, stacked. */
export function stackColumns(a: Matrix): number[] {
  return tabulate(a.cols, a.rows, (j, i) => elementAt(a, i, j)).data.slice();
}

/** −0 and 0 are one number here: a sum may come out as either. */
export function plainZeros({ rows, cols, data }: Matrix): Matrix {
  return { rows, cols, data: data.map(value => value + 0) };
}

function leastCommonMultiple(a: number, b: number): number {
  let [x, y] = [a, b];
  while (y > 0) [x, y] = [y, x % y];
  return (a * b) / x;
}

const SIDES = [1, 2, 3] as const;
const DEPTH_MAX = 3;
const DEGREE_MAX = 4;

/** Expressions in which W occurs one to four times. */
export const expressionText: fc.Arbitrary<string> = fc
  .tuple(fc.constantFrom(...SIDES), fc.constantFrom(...SIDES))
  .chain(([rows, cols]) => textOfShape(rows, cols, DEPTH_MAX))
  .filter(text => degreeOf(text) >= 1 && degreeOf(text) <= DEGREE_MAX);

/** How often W occurs: the degree of the polynomial, or more. */
export function degreeOf(text: string, wrt = 'W'): number {
  return parseExpression(text).nodes.filter(node => node.kind === 'name' && node.name === wrt).length;
}

function leafOfShape(rows: number, cols: number): fc.Arbitrary<string> {
  if (rows === 2 && cols === 3) return fc.constantFrom('W', 'W', 'M23', "M32'");
  if (rows === 3 && cols === 2) return fc.constantFrom("W'", "W'", 'M32', "M23'");
  if (rows === 1 && cols === 1) return fc.constantFrom('s', 't', 'M11', '2', '3');
  return fc.constantFrom(`M${rows}${cols}`, `M${cols}${rows}'`);
}

function textOfShape(rows: number, cols: number, depth: number): fc.Arbitrary<string> {
  if (depth === 0) return leafOfShape(rows, cols);
  const same = textOfShape(rows, cols, depth - 1);
  const product = fc
    .constantFrom(...SIDES)
    .chain(inner => fc.tuple(textOfShape(rows, inner, depth - 1), textOfShape(inner, cols, depth - 1)))
    .map(([a, b]) => `(${a})*(${b})`);
  return fc.oneof(
    { weight: 1, arbitrary: leafOfShape(rows, cols) },
    { weight: 4, arbitrary: product },
    {
      weight: 2,
      arbitrary: fc.tuple(same, fc.constantFrom('+', '-'), same).map(([a, sign, b]) => `(${a})${sign}(${b})`),
    },
    { weight: 1, arbitrary: textOfShape(cols, rows, depth - 1).map(text => `(${text})'`) },
    { weight: 1, arbitrary: same.map(text => `-(${text})`) },
    {
      weight: 1,
      arbitrary: fc.tuple(textOfShape(1, 1, depth - 1), same).map(([s, text]) => `(${s})*(${text})`),
    },
  );
}

/** Runs a property over generated expressions; a failure prints the seed that repeats it. */
export function forExpressions(check: (text: string, f: Node) => void, runs = 200): void {
  fc.assert(
    fc.property(expressionText, text => check(text, graphOf(text))),
    { numRuns: runs },
  );
}
