// Expressions by grammar, whose meaning is known because they are written from it; and by noise, of which nothing is
// known but that it must be refused in order. What can be built is derived and printed, and what is printed reads back.

import { equal, ok } from 'node:assert/strict';
import { FrechetError } from '../../shared/errors.ts';
import { buildGraph } from '../../shared/math/build-graph.ts';
import { derive, describeDerivative, OPERATIONS } from '../../shared/math/derive.ts';
import type { Node } from '../../shared/math/graph.ts';
import { parseExpression, type Syntax } from '../../shared/math/parse.ts';
import { printText } from '../../shared/math/print.ts';
import { type Shape, shape } from '../../shared/math/shape.ts';
import { parenthesize } from '../support/parenthesize.ts';
import type { Random } from '../support/random.ts';
import type { Campaign } from './campaign.ts';

const NAMES = ['A', 'B', 'W', 'x', '_0', 'constructor', '__proto__'];
const NUMBERS = ['0', '2', '.5', '1e3', '3.', '1e-400', '007'];
const NOISE = [
  ...[
    '(',
    ')',
    '*',
    '+',
    '-',
    "'",
    ' ',
    '\t',
    '\n',
    'A',
    'W',
    '1',
    '.',
    'e',
    '1e999',
    '**',
    '/',
    '^',
    '//',
    '"',
  ],
  ...[
    '\0',
    'é',
    '𝔸',
    '’',
    '−',
    '\u202e',
    '(((((',
    ')))))',
    '-----',
    "'''''",
    '__proto__',
    '$',
    ';',
    '1e5e',
    '0x1',
  ],
];
const DEPTH_MAX = 7;
const TIME_MS_MAX = 1000;

/** An expression as text, and fully parenthesised, as `parenthesize` tells it. */
interface Written {
  readonly text: string;
  readonly meaning: string;
  /** How strongly it binds: 0 a sum, 1 a negation, 2 a product, 3 a transpose or less. */
  readonly level: number;
}

export const expressionCampaign: Campaign = {
  name: 'expressions',
  cases: 200_000,
  lanes: 1,
  run(random) {
    const startedAt = performance.now();
    const outcome = random.below(2) === 0 ? judgeGrammar(random) : judgeNoise(random);
    const ms = performance.now() - startedAt;
    ok(ms < TIME_MS_MAX, `${ms} ms`);
    return outcome;
  },
};

function judgeGrammar(random: Random): string {
  const { text, meaning } = write(random, DEPTH_MAX);
  const syntax = parseExpression(text);
  equal(parenthesize(syntax), meaning, text);
  return judgeMeaning(syntax, random);
}

function judgeNoise(random: Random): string {
  const pieces = Array.from({ length: random.below(40) }, () => random.pick(NOISE));
  const text = pieces.join('').repeat(random.below(50) === 0 ? 200 : 1);
  let syntax: Syntax;
  try {
    syntax = parseExpression(text);
  } catch (error) {
    const { code, column } = refusal(error, ['expression-syntax', 'expression-too-large'], text);
    if (code === 'expression-syntax')
      ok(column !== undefined && column >= 1 && column <= text.length + 1, text);
    return code;
  }
  return judgeMeaning(syntax, random);
}

/** Operands of random shapes; where they fit together, everything that can be asked of the expression. */
function judgeMeaning(syntax: Syntax, random: Random): string {
  const sides = random.below(2) === 0 ? [2] : [1, 2, 3];
  const shapes = new Map<string, Shape>(
    syntax.names.map(name => [name, shape(random.pick(sides), random.pick(sides))]),
  );
  let graph: Node;
  try {
    graph = buildGraph(syntax, shapes);
  } catch (error) {
    return refusal(error, ['shape-mismatch'], syntax.text).code;
  }
  const printed = printText(graph);
  equal(printText(buildGraph(parseExpression(printed), shapes)), printed, syntax.text);
  const wrt = syntax.names[0];
  if (wrt === undefined) return 'a constant';
  for (const operation of OPERATIONS) derive(graph, operation, wrt);
  describeDerivative(graph, wrt);
  return 'derived';
}

function refusal(
  error: unknown,
  codes: readonly string[],
  text: string,
): { readonly code: string; readonly column: number | undefined } {
  if (!(error instanceof FrechetError))
    throw new Error(`${JSON.stringify(text)} breaks something`, { cause: error });
  ok(codes.includes(error.code), `${error.code}: ${JSON.stringify(text)}`);
  return { code: error.code, column: error.context.column };
}

function write(random: Random, depth: number): Written {
  const kind = depth === 0 ? 0 : random.below(7);
  switch (kind) {
    case 2: {
      const inner = write(random, depth - 1);
      return { text: `${atLeast(inner, 3)}${space(random)}'`, meaning: `(${inner.meaning}')`, level: 3 };
    }
    case 3: {
      const inner = write(random, depth - 1);
      return { text: `-${space(random)}${atLeast(inner, 1)}`, meaning: `(-${inner.meaning})`, level: 1 };
    }
    case 4:
      return writeBinary(random, depth, '*', 2);
    case 5:
      return writeBinary(random, depth, '+', 0);
    case 6:
      return writeBinary(random, depth, '-', 0);
    default: {
      if (random.below(4) > 0) {
        const name = random.pick(NAMES);
        return { text: name, meaning: name, level: 3 };
      }
      const number = random.pick(NUMBERS);
      return { text: number, meaning: String(Number(number)), level: 3 };
    }
  }
}

function writeBinary(random: Random, depth: number, sign: string, level: number): Written {
  const [left, right] = [write(random, depth - 1), write(random, depth - 1)];
  const text = atLeast(left, level) + space(random) + sign + space(random) + atLeast(right, level + 1);
  return { text, meaning: `(${left.meaning}${sign}${right.meaning})`, level };
}

/** In parentheses where it binds less. */
function atLeast({ text, level }: Written, needed: number): string {
  return level < needed ? `(${text})` : text;
}

function space(random: Random): string {
  return random.pick(['', '', ' ', '\t', '\r\n']);
}
