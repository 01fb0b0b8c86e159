// Text → syntax. A shunting yard over explicit stacks, because the text is hostile: no recursion, and every limit is
// decided before anything is built. The syntax is a list in postfix order, the root last. Shapes come later
// (build-graph.ts): the names of an expression are known before anybody says how large they are.
//
//   sum     = product { ("+" | "-") product }        product = factor { "*" factor }
//   factor  = "-" product | primary { "'" }          primary = name | number | "(" sum ")"

import { assert } from '../assert.ts';
import { FrechetError } from '../errors.ts';

export const EXPRESSION_CHARACTERS_MAX = 4096;
/** Parentheses within parentheses. */
export const EXPRESSION_LEVELS_MAX = 64;
/** Names, numbers and operators. */
export const EXPRESSION_NODES_MAX = 1000;

/** Characters [start, stop) of the text, outer parentheses included. */
interface Span {
  readonly start: number;
  readonly stop: number;
}

/** `operand`, `left` and `right` are indices of earlier nodes in the list. */
export type SyntaxNode = Span &
  (
    | { readonly kind: 'name'; readonly name: string }
    | { readonly kind: 'number'; readonly value: number }
    | { readonly kind: 'sum' | 'difference' | 'product'; readonly left: number; readonly right: number }
    | { readonly kind: 'negation' | 'transpose'; readonly operand: number }
  );

export interface Syntax {
  readonly text: string;
  /** In postfix order; the last is the whole expression. */
  readonly nodes: readonly SyntaxNode[];
  /** Each once, in order of first appearance. */
  readonly names: readonly string[];
}

type TokenKind = 'name' | 'number' | '+' | '-' | '*' | "'" | '(' | ')';

interface Token extends Span {
  readonly kind: TokenKind;
  readonly text: string;
}

const TOKEN = /([A-Za-z_][A-Za-z0-9_]*)|((?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)|[-+*'()]/y;
const SPACE = /[ \t\r\n]*/y;

const OPERAND_EXPECTED = "a name, a number, '-' or '('";
const OPERATOR_EXPECTED = "'+', '-', '*', a transpose ' or"; // and what ends the expression or parenthesis

/** @throws expression-syntax with the column; expression-too-large with limit and requested */
export function parseExpression(text: string): Syntax {
  refuseOver('characters', text.length, EXPRESSION_CHARACTERS_MAX);
  const tokens = tokenize(text);
  const nodeCount = tokens.filter(({ kind }) => kind !== '(' && kind !== ')').length;
  refuseOver('names, numbers and operators', nodeCount, EXPRESSION_NODES_MAX);
  refuseOver('levels of parentheses', countLevels(tokens), EXPRESSION_LEVELS_MAX);
  const nodes = arrange(tokens, text);
  const names = nodes.flatMap(node => (node.kind === 'name' ? [node.name] : []));
  return { text, nodes, names: [...new Set(names)] };
}

/** The part of the text that a node came from. */
export function sourceOf(syntax: Syntax, node: SyntaxNode): string {
  return syntax.text.slice(node.start, node.stop);
}

function refuseOver(what: string, requested: number, limit: number): void {
  if (requested <= limit) return;
  throw new FrechetError(
    'expression-too-large',
    `The expression has ${requested} ${what}; at most ${limit} fit.`,
    {
      limit,
      requested,
    },
  );
}

function tokenize(text: string): Token[] {
  const tokens: Token[] = [];
  for (let start = skipSpace(text, 0); start < text.length; start = skipSpace(text, TOKEN.lastIndex)) {
    TOKEN.lastIndex = start;
    const match = TOKEN.exec(text);
    if (match === null) {
      const character = String.fromCodePoint(text.codePointAt(start) ?? 0);
      throw syntaxError(start, `The character ${JSON.stringify(character)} has no meaning here.`);
    }
    const [token, name, number] = match;
    const kind = name !== undefined ? 'name' : number !== undefined ? 'number' : (token as TokenKind); // one of [-+*'()]
    tokens.push({ kind, text: token, start, stop: TOKEN.lastIndex });
  }
  return tokens;
}

function skipSpace(text: string, from: number): number {
  SPACE.lastIndex = from;
  SPACE.exec(text); // matches always, if only nothing
  return SPACE.lastIndex;
}

function countLevels(tokens: readonly Token[]): number {
  let level = 0;
  let deepest = 0;
  for (const { kind } of tokens) {
    if (kind === '(') level += 1;
    if (kind === ')') level -= 1;
    deepest = Math.max(deepest, level);
  }
  return deepest;
}

/** An operator or parenthesis that waits for its right operand. */
interface Waiting {
  readonly kind: 'sum' | 'difference' | 'product' | 'negation' | '(';
  readonly start: number;
}

const BINARY = { '+': 'sum', '-': 'difference', '*': 'product' } as const;

// −A·B is −(A·B): a minus sign binds weaker than a product, stronger than a sum.
const PRECEDENCE = { '(': 0, sum: 1, difference: 1, negation: 2, product: 3 } as const;

/** An operand that is complete: which node, and its text including parentheses around it. */
interface Operand extends Span {
  readonly node: number;
}

function arrange(tokens: readonly Token[], text: string): SyntaxNode[] {
  const nodes: SyntaxNode[] = [];
  const operands: Operand[] = [];
  const waiting: Waiting[] = [];
  let operandExpected = true;

  for (const token of tokens) {
    if (operandExpected) readOperandStart(token);
    else readAfterOperand(token);
  }
  if (operandExpected)
    throw syntaxError(text.length, `Expected ${OPERAND_EXPECTED}, but the expression ends.`);
  applyDownTo(PRECEDENCE.sum);
  const open = waiting.at(-1);
  if (open !== undefined)
    throw syntaxError(
      text.length,
      `Expected ')' for the '(' in column ${open.start + 1}, but the expression ends.`,
    );
  return nodes;

  function readOperandStart({ kind, text: lexeme, start, stop }: Token): void {
    if (kind === '(') waiting.push({ kind: '(', start });
    else if (kind === '-') waiting.push({ kind: 'negation', start });
    else if (kind === 'name') push({ kind, name: lexeme, start, stop });
    else if (kind === 'number') push({ kind, value: readNumber(lexeme, start), start, stop });
    else throw syntaxError(start, `Expected ${OPERAND_EXPECTED}, but found '${lexeme}'.`);
    operandExpected = kind === '(' || kind === '-';
  }

  function readAfterOperand({ kind, text: lexeme, start, stop }: Token): void {
    if (kind === "'") {
      const operand = pop();
      push({ kind: 'transpose', operand: operand.node, start: operand.start, stop });
    } else if (kind === ')') {
      close(start, stop);
    } else if (kind === '+' || kind === '-' || kind === '*') {
      const binary = BINARY[kind];
      applyDownTo(PRECEDENCE[binary]);
      waiting.push({ kind: binary, start });
      operandExpected = true;
    } else {
      const end = waiting.some(({ kind: waitingKind }) => waitingKind === '(') ? "')'" : 'the end';
      throw syntaxError(start, `Expected ${OPERATOR_EXPECTED} ${end}, but found '${lexeme.slice(0, 40)}'.`);
    }
  }

  function close(start: number, stop: number): void {
    applyDownTo(PRECEDENCE.sum);
    const open = waiting.pop();
    if (open === undefined) {
      throw syntaxError(start, `Expected ${OPERATOR_EXPECTED} the end, but found ')' without its '('.`);
    }
    operands.push({ node: pop().node, start: open.start, stop });
  }

  /** Completes the waiting operators that bind at least as strongly. */
  function applyDownTo(precedence: number): void {
    for (let top = waiting.at(-1); top !== undefined; top = waiting.at(-1)) {
      if (top.kind === '(' || PRECEDENCE[top.kind] < precedence) return;
      waiting.pop();
      const right = pop();
      if (top.kind === 'negation') {
        push({ kind: 'negation', operand: right.node, start: top.start, stop: right.stop });
      } else {
        const left = pop();
        push({ kind: top.kind, left: left.node, right: right.node, start: left.start, stop: right.stop });
      }
    }
  }

  function push(node: SyntaxNode): void {
    operands.push({ node: nodes.length, start: node.start, stop: node.stop });
    nodes.push(node);
  }

  function pop(): Operand {
    const operand = operands.pop();
    assert(operand !== undefined, 'an operator is applied only when its operands are complete');
    return operand;
  }
}

function readNumber(lexeme: string, start: number): number {
  const value = Number(lexeme);
  if (!Number.isFinite(value)) {
    throw syntaxError(
      start,
      `Expected a number within the range of float64, but found ${lexeme.slice(0, 40)}.`,
    );
  }
  return value;
}

/** `offset` counts from 0, a column from 1. */
function syntaxError(offset: number, detail: string): FrechetError {
  return new FrechetError('expression-syntax', detail, { column: offset + 1 });
}
