// Graph → text that the parser reads back, and graph → LaTeX. What the grammar has no word for (Kronecker products,
// identities, traces) is written as eye(n), kron(L, R), tr(A'*B), vec(A), commutation(n, p). Two ways to set
// parentheses: exact ones, from which the same graph is read again, and for reading, where products need none.

import { unreachable } from '../assert.ts';
import { type InputNode, type Node, type Range, topologicalOrder } from './graph.ts';
import { isScalar } from './shape.ts';

/** How strongly the outermost operator of a text binds. */
const LEVELS = { sum: 1, negation: 2, tensor: 3, product: 4, postfix: 5, atom: 6 } as const;

interface Printed {
  readonly text: string;
  readonly level: number;
  /** What is printed is the negative of this. */
  readonly negativeOf?: Printed;
}

/** Everything that text and LaTeX write differently. */
interface Notation {
  /** Whether products of products are written without parentheses. */
  readonly isFlat: boolean;
  name(input: InputNode): string;
  number(value: number): Printed;
  group(text: string): string;
  transpose(text: string): string;
  product(left: string, right: string): string;
  identity(size: number): string;
  kron(left: Printed, right: Printed): Printed;
  commutation(rows: number, cols: number): string;
  call(name: 'tr' | 'vec', text: string): string;
  slice(text: string, rows: Range, cols: Range): string;
}

const TEXT: Notation = {
  isFlat: false,
  name: ({ params }) => params.name,
  number: value => ({ text: String(value), level: LEVELS.atom }),
  group: text => `(${text})`,
  transpose: text => `${text}'`,
  product: (left, right) => `${left}*${right}`,
  identity: size => `eye(${size})`,
  kron: (left, right) => ({ text: `kron(${left.text}, ${right.text})`, level: LEVELS.atom }),
  commutation: (rows, cols) => `commutation(${rows}, ${cols})`,
  call: (name, text) => `${name}(${text})`,
  slice: (text, rows, cols) => `${text}[${rows.join(':')}, ${cols.join(':')}]`,
};

const LATEX: Notation = {
  isFlat: true,
  name: ({ params: { name, role } }) =>
    role === 'direction' ? `\\mathrm{d}${latexName(name.slice(1))}` : latexName(name),
  number: latexNumber,
  group: text => `\\left(${text}\\right)`,
  transpose: text => `${text}^{\\top}`,
  product: (left, right) => (/^[0-9]/.test(right) ? `${left} \\cdot ${right}` : `${left} ${right}`),
  identity: size => `I_{${size}}`,
  kron: (left, right) => ({
    text: `${bracket(LATEX, left, LEVELS.postfix)} \\otimes ${bracket(LATEX, right, LEVELS.postfix)}`,
    // A⊗B within a product is put in parentheses: no reader should have to know which binds first.
    level: LEVELS.tensor,
  }),
  commutation: (rows, cols) => `K_{${rows},${cols}}`,
  call: (name, text) => `\\operatorname{${name}}\\left(${text}\\right)`,
  slice: (text, rows, cols) => `${text}_{${rows.join(':')},\\,${cols.join(':')}}`,
};

/** Text of a graph. A graph that parseExpression and buildGraph made is made again, node by node, from its text. */
export function printText(root: Node): string {
  return print(root, TEXT);
}

/** Text for reading: products without parentheses, since their value does not depend on them. */
export function printFlat(root: Node): string {
  return print(root, { ...TEXT, isFlat: true });
}

export function printLatex(root: Node): string {
  return print(root, LATEX);
}

function print(root: Node, notation: Notation): string {
  const printed = new Map<Node, Printed>();
  for (const node of topologicalOrder([root])) printed.set(node, printNode(node));
  return textOf(root).text;

  function textOf(node: Node): Printed {
    return printed.get(node) ?? { text: '', level: LEVELS.atom }; // inputs come first
  }

  function printNode(node: Node): Printed {
    const inputs = node.inputs.map(textOf);
    switch (node.primitive) {
      case 'input':
        return { text: notation.name(node), level: LEVELS.atom };
      case 'constant':
        return printNumber(node.params.value);
      case 'identity':
        return { text: notation.identity(node.params.size), level: LEVELS.atom };
      case 'transpose':
        return printTranspose(textOf(node.inputs[0]));
      case 'matmul':
        return printMatmul(node.inputs);
      case 'scale':
        return printScale(node.inputs);
      case 'add':
        return printSum(textOf(node.inputs[0]), textOf(node.inputs[1]));
      case 'inner':
        return printInner(node.inputs);
      case 'kron':
        return printKron(node.inputs, node.params.swap);
      case 'vec':
        return { text: notation.call('vec', inputs[0]?.text ?? ''), level: LEVELS.atom };
      case 'slice': {
        const whole = bracket(notation, textOf(node.inputs[0]), LEVELS.postfix);
        return { text: notation.slice(whole, node.params.rows, node.params.cols), level: LEVELS.postfix };
      }
      default:
        return unreachable(node);
    }
  }

  function printNumber(value: number): Printed {
    return value < 0 || Object.is(value, -0) ? negative(notation.number(-value)) : notation.number(value);
  }

  function negative(positive: Printed): Printed {
    return {
      text: `-${bracket(notation, positive, LEVELS.product)}`,
      level: LEVELS.negation,
      negativeOf: positive,
    };
  }

  function printTranspose(operand: Printed): Printed {
    // In LaTeX A^{⊤}^{⊤} is an error.
    const level = notation === LATEX ? LEVELS.atom : LEVELS.postfix;
    return { text: notation.transpose(bracket(notation, operand, level)), level: LEVELS.postfix };
  }

  function printMatmul([a, b]: readonly [Node, Node]): Printed {
    // A scaling inside a product keeps its parentheses: B*(s*A) is no product where s is 1×1.
    const isAssociative = notation.isFlat && b.primitive === 'matmul';
    return product(textOf(a), textOf(b), isAssociative);
  }

  function printScale([s, a]: readonly [Node, Node]): Printed {
    const [factor, matrix] = [textOf(s), textOf(a)];
    const isProduct = a.primitive === 'matmul' || a.primitive === 'scale' || a.primitive === 'kron';
    const isAssociative = notation.isFlat && isProduct;
    if (s.primitive === 'constant' && factor.negativeOf !== undefined) {
      if (s.params.value === -1) return negative(matrix);
      return negative(product(factor.negativeOf, matrix, isAssociative));
    }
    // s*A would be read as a matrix product where A is a row; A*s is not.
    const isMisread =
      !notation.isFlat && s.primitive !== 'constant' && a.shape.rows === 1 && !isScalar(a.shape);
    return isMisread ? product(matrix, factor, false) : product(factor, matrix, isAssociative);
  }

  function product(left: Printed, right: Printed, isAssociative: boolean): Printed {
    const leftText = bracket(notation, left, LEVELS.product);
    const rightText = bracket(notation, right, isAssociative ? LEVELS.product : LEVELS.postfix);
    return { text: notation.product(leftText, rightText), level: LEVELS.product };
  }

  function printSum(left: Printed, right: Printed): Printed {
    const [sign, summand] = right.negativeOf === undefined ? ['+', right] : ['-', right.negativeOf];
    return { text: `${left.text} ${sign} ${bracket(notation, summand, LEVELS.tensor)}`, level: LEVELS.sum };
  }

  function printInner([a, b]: readonly [Node, Node]): Printed {
    const left = a.primitive === 'transpose' ? textOf(a.inputs[0]) : printTranspose(textOf(a));
    const isAssociative = notation.isFlat && b.primitive === 'matmul';
    return { text: notation.call('tr', product(left, textOf(b), isAssociative).text), level: LEVELS.atom };
  }

  function printKron([left, right]: readonly [Node, Node], swap: boolean): Printed {
    const both = notation.kron(textOf(left), textOf(right));
    if (!swap) return both;
    // (I ⊗ I)·K is K.
    const isPermutation = left.primitive === 'identity' && right.primitive === 'identity';
    const permutation = notation.commutation(left.shape.cols, right.shape.cols);
    const printed = { text: permutation, level: LEVELS.atom };
    return isPermutation ? printed : product(both, printed, false);
  }
}

/** In parentheses, unless it binds at least as strongly as `level`. */
function bracket(notation: Notation, { text, level: own }: Printed, level: number): string {
  return own >= level ? text : notation.group(text);
}

function latexName(name: string): string {
  return name.length === 1 && name !== '_' ? name : `\\mathrm{${name.replaceAll('_', '\\_')}}`;
}

function latexNumber(value: number): Printed {
  const [mantissa, exponent] = String(value).split('e');
  if (exponent === undefined) return { text: String(value), level: LEVELS.atom };
  return { text: `${mantissa} \\cdot 10^{${Number(exponent)}}`, level: LEVELS.product };
}
