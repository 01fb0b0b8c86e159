// `frechet explain`: the derivative in words, worked out here; no service, no numbers.

import { FrechetError } from '../../shared/errors.ts';
import { buildGraph } from '../../shared/math/build-graph.ts';
import { describeDerivative } from '../../shared/math/derive.ts';
import { parseExpression } from '../../shared/math/parse.ts';
import type { Shape } from '../../shared/math/shape.ts';
import { parseShape } from './array-files.ts';
import { type Arguments, type Command, table } from './command.ts';
import { EXIT_CODES, UsageError } from './exit-codes.ts';
import { chooseSizes } from './symbolic-sizes.ts';

export const explain: Command = {
  name: 'explain',
  summary: 'print differential, adjoint and Jacobian of an expression',
  usage: 'EXPRESSION [--wrt NAME] [--shape NAME=ROWSxCOLS …]',
  notes:
    '  frechet explain "A*W*B" --wrt W. Sizes that are not given are letters, as general as the expression allows;\n' +
    '  a product is then one of matrices. --shape s=1x1 makes s a number.',
  options: {
    wrt: { short: 'w', argument: 'NAME', help: 'the variable; default W' },
    shape: { argument: 'NAME=ROWSxCOLS', repeatable: true, help: 'the shape of a name' },
  },
  async run(given, { stdout }) {
    const explanation = explainExpression(
      given.single('an expression'),
      given.text('wrt') ?? 'W',
      readShapes(given),
    );
    stdout.write(given.flag('json') ? `${JSON.stringify(explanation)}\n` : explanationText(explanation));
    return EXIT_CODES.ok;
  },
};

export interface Explanation {
  readonly expression: string;
  readonly wrt: string;
  /** Numbers where they were given, else letters. */
  readonly shapes: Readonly<Record<string, string>>;
  readonly linear: boolean;
  readonly differential: string | null;
  readonly adjoint: string | null;
  readonly jacobian: string | null;
  readonly latex: string | null;
}

/** @throws UsageError that says what is wrong with the expression */
export function explainExpression(
  expression: string,
  wrt: string,
  given: ReadonlyMap<string, Shape>,
): Explanation {
  try {
    const syntax = parseExpression(expression);
    const stranger = [...given.keys()].find(name => !syntax.names.includes(name));
    if (stranger !== undefined) throw new UsageError(`--shape ${stranger}: the expression has no such name`);
    const sizes = chooseSizes(syntax, given);
    const graph = buildGraph(syntax, sizes.shapes);
    const { linear, ...texts } = describeDerivative(graph, wrt);
    const printed = Object.entries(texts).map(([name, text]) => [
      name,
      text && sizes.letter(text, name === 'latex' ? ' ' : '*'),
    ]);
    const shapeText = ({ rows, cols }: Shape) => `${sizes.print(rows, '*')}×${sizes.print(cols, '*')}`;
    const shapes = [...sizes.shapes, ['F', graph.shape] as const].map(([name, shape]) => [
      name,
      shapeText(shape),
    ]);
    return { expression, wrt, shapes: Object.fromEntries(shapes), linear, ...Object.fromEntries(printed) };
  } catch (error) {
    if (!(error instanceof FrechetError)) throw error;
    throw new UsageError(messageOf(error, expression), { cause: error });
  }
}

/** A fault of the text is shown where it is. */
function messageOf({ message, context }: FrechetError, expression: string): string {
  if (context.column === undefined) return message;
  return `${message}\n  ${expression}\n  ${' '.repeat(context.column - 1)}^`;
}

function readShapes(given: Arguments): ReadonlyMap<string, Shape> {
  return new Map(
    given.texts('shape').map(text => {
      const [, name, shape] = /^([A-Za-z_]\w*)=(.+)$/.exec(text) ?? [];
      if (name === undefined) throw new UsageError(`--shape is NAME=ROWSxCOLS, not ${JSON.stringify(text)}`);
      const [rows = 1, cols = 1] = parseShape(shape ?? '');
      return [name, { rows, cols }] as const;
    }),
  );
}

function explanationText(explanation: Explanation): string {
  const { expression, wrt, shapes, linear } = explanation;
  const { F, ...operands } = shapes;
  const sizes = Object.entries(operands).map(([name, shape]) => `${name} ${shape}`);
  const said = (text: string | null) => text ?? 'too long to print';
  const rows: [string, string][] = [
    ['shapes', `${sizes.join(', ')}, F ${F}`],
    [`linear in ${wrt}`, linear ? `yes: the derivative is the same at every ${wrt}` : 'no'],
    ['differential', `dF(d${wrt}) = ${said(explanation.differential)}`],
    ['adjoint', `dF*(G) = ${said(explanation.adjoint)}`],
    ['Jacobian', `J = ${said(explanation.jacobian)}, with vec(dF) = J*vec(d${wrt}), vec stacking columns`],
    ['LaTeX', said(explanation.latex)],
  ];
  return `F(${wrt}) = ${expression}\n\n${table(rows)}\n`;
}
