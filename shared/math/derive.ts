// What a client asks of an expression, in a few lines over forward mode, reverse mode and the normal form.

import { assert } from '../assert.ts';
import { FrechetError } from '../errors.ts';
import { build, type InputNode, inputsOf, type Node } from './graph.ts';
import { jvp } from './jvp.ts';
import { adjointOf, differentialOf, jacobianOf, type LinearMap, linearMap } from './linear-map.ts';
import { printFlat, printLatex } from './print.ts';
import { normalize, normalizeForReading, simplify } from './simplify.ts';
import { vjp } from './vjp.ts';

export const OPERATIONS = ['value', 'jvp', 'vjp', 'jacobian'] as const;
export type Operation = (typeof OPERATIONS)[number];

/**
 * The graph of F, of dF along directionOf(f, wrt), of its adjoint at cotangentOf(f), or of its Jacobian; simplified.
 * Its inputs (inputsOf) are the operands whose values are needed. `members` is the length of a stacked direction or
 * cotangent.
 * @throws unknown-symbol where f has no operand `wrt`
 */
export function derive(f: Node, operation: Operation, wrt: string, members = 1): Node {
  return only(simplify([derived(f, operation, operandNamed(f, wrt))], members));
}

function derived(f: Node, operation: Operation, wrt: InputNode): Node {
  switch (operation) {
    case 'value':
      return f;
    case 'jvp':
      return reached(jvp(f, new Map([[wrt, directionOf(f, wrt.params.name)]])), wrt);
    case 'vjp':
      return reached(vjp(f, cotangentOf(f), wrt), wrt);
    case 'jacobian':
      return jacobianOf(derivativeMap(f, wrt));
  }
}

/** The operand of this name. @throws unknown-symbol */
export function operandNamed(f: Node, name: string): InputNode {
  const operand = inputsOf([f]).find(({ params }) => params.role === 'operand' && params.name === name);
  if (operand === undefined) {
    throw new FrechetError('unknown-symbol', `The name ${name} does not occur in the expression.`);
  }
  return operand;
}

/** The input that jvp takes its direction from: dW for W, or dW1, dW2, … where an operand has that name. */
export function directionOf(f: Node, wrt: string): InputNode {
  return build.input(freeName(f, `d${wrt}`), 'direction', operandNamed(f, wrt).shape);
}

/** The input that vjp takes its cotangent from: G, or G1, G2, … where an operand has that name. */
export function cotangentOf(f: Node): InputNode {
  return build.input(freeName(f, 'G'), 'cotangent', f.shape);
}

/** Whether F is affine in the operand: its derivative does not depend on it. */
export function isLinearIn(f: Node, wrt: string): boolean {
  const operand = operandNamed(f, wrt);
  const differential = reached(jvp(f, new Map([[operand, directionOf(f, wrt)]])), operand);
  return !inputsOf([differential]).includes(operand);
}

/** The derivative in words; null where it would fill more than DESCRIPTION_CHARACTERS_MAX characters. */
export interface DerivativeDescription {
  readonly linear: boolean;
  readonly differential: string | null;
  readonly adjoint: string | null;
  readonly jacobian: string | null;
  readonly latex: string | null;
}

/** An expression of 4,096 characters can have a derivative of a million; nobody reads that in a job's JSON. */
export const DESCRIPTION_CHARACTERS_MAX = 16_384;

/** @throws unknown-symbol where f has no operand `wrt` */
export function describeDerivative(f: Node, wrt: string): DerivativeDescription {
  const operand = operandNamed(f, wrt);
  const map = derivativeMap(f, operand);
  const graphs = normalizeForReading([
    differentialOf(map, directionOf(f, wrt)),
    adjointOf(map, cotangentOf(f)),
    jacobianOf(map),
  ]);
  const [differential, adjoint, jacobian] = graphs.map(printFlat);
  const [differentialLatex, adjointLatex, jacobianLatex] = graphs.map(printLatex);
  const direction = printLatex(directionOf(f, wrt));
  // Concatenated, not joined: what turns out too long has never been copied into one piece.
  const latex =
    `\\mathrm{d}F(${direction}) = ${differentialLatex}, \\quad ` +
    `\\mathrm{d}F^{*}(${printLatex(cotangentOf(f))}) = ${adjointLatex}, \\quad ` +
    `J = ${jacobianLatex}`;
  return {
    linear: isLinearIn(f, wrt),
    differential: unlessLong(differential),
    adjoint: unlessLong(adjoint),
    jacobian: unlessLong(jacobian),
    latex: unlessLong(latex),
  };
}

/** dF in normal form, with respect to an operand. */
function derivativeMap(f: Node, wrt: InputNode): LinearMap {
  const direction = directionOf(f, wrt.params.name);
  const differential = reached(jvp(f, new Map([[wrt, direction]])), wrt);
  return linearMap(only(normalize([differential])), direction);
}

function reached(derivative: Node | undefined, wrt: InputNode): Node {
  assert(derivative !== undefined, `the expression depends on ${wrt.params.name}, since it occurs in it`);
  return derivative;
}

/** `preferred`, or with the least number after it that makes it no operand's name. */
function freeName(f: Node, preferred: string): string {
  const taken = new Set(inputsOf([f]).map(({ params }) => params.name));
  let name = preferred;
  for (let suffix = 1; taken.has(name); suffix += 1) name = `${preferred}${suffix}`;
  return name;
}

function only(nodes: readonly Node[]): Node {
  const [node] = nodes;
  assert(node !== undefined && nodes.length === 1, 'a rewriting keeps the number of roots');
  return node;
}

function unlessLong(text: string | undefined): string | null {
  return text !== undefined && text.length <= DESCRIPTION_CHARACTERS_MAX ? text : null;
}
