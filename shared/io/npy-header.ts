// The header of a .npy file: a Python literal, `{'descr': '<f8', 'fortran_order': False, 'shape': (3, 4), }`, read by
// a parser that knows strings, integers, booleans, None, tuples and lists, and evaluates nothing. Strict where NumPy's
// own reader is lax: keys exactly once, no booleans for sides, no products that wrap.

import { type ErrorCode, FrechetError } from '../errors.ts';
import { ARRAY_RANK_MAX } from '../job/limits.ts';
import type { Order } from '../math/view.ts';

export interface NpyHeader {
  /** The array-protocol string, or undefined for a structured dtype. */
  readonly descr: string | undefined;
  readonly order: Order;
  readonly shape: readonly number[];
}

/** A Python value as far as headers need one: a number that is no plain integer becomes `other`. */
type Literal =
  | { readonly kind: 'text'; readonly value: string }
  | { readonly kind: 'integer'; readonly value: bigint }
  | { readonly kind: 'boolean'; readonly value: boolean }
  | { readonly kind: 'sequence'; readonly tuple: boolean; readonly items: readonly Literal[] }
  | { readonly kind: 'other' };

/** Nesting of a structured dtype; far above what anyone writes, far below the stack. */
const DEPTH_MAX = 32;
const KEYS = ['descr', 'fortran_order', 'shape'];
const WHITESPACE = /[ \t\r\n\f]*/y;
const STRING = /'((?:[^'\\\n]|\\[^\n])*)'|"((?:[^"\\\n]|\\[^\n])*)"/y;
const NUMBER = /[-+.]?[0-9][0-9A-Za-z_.+-]*/y;
const WORD = /[A-Za-z_]+/y;
/** Python 2 marked long integers with an L. */
const INTEGER = /^(-?(?:0|[1-9][0-9]*))L?$/;

/** Reads the text between the length field and the data. @throws npy-header-syntax, npy-shape, npy-rank */
export function parseNpyHeader(text: string): NpyHeader {
  const entries = new LiteralParser(text).dictionary();
  const missing = KEYS.filter(key => !entries.has(key));
  const unknown = [...entries.keys()].filter(key => !KEYS.includes(key));
  if (missing.length > 0 || unknown.length > 0) throw syntax(`its keys must be ${KEYS.join(', ')}`);
  const descr = entries.get('descr');
  const fortran = entries.get('fortran_order');
  if (fortran?.kind !== 'boolean') throw syntax('fortran_order must be True or False');
  if (descr?.kind !== 'text' && descr?.kind !== 'sequence') throw syntax('descr must be a string or a list');
  const shape = readShape(entries.get('shape'));
  return {
    descr: descr.kind === 'text' ? descr.value : undefined,
    order: fortran.value && shape.length > 1 ? 'F' : 'C',
    shape,
  };
}

function readShape(literal: Literal | undefined): number[] {
  if (literal?.kind !== 'sequence' || !literal.tuple) throw fault('npy-shape', 'The shape must be a tuple.');
  const { items } = literal;
  const sides = items.map(side => {
    const valid = side.kind === 'integer' && side.value >= 0n && side.value <= Number.MAX_SAFE_INTEGER;
    if (!valid) throw fault('npy-shape', 'Every side of the shape must be an integer from 0 to 2^53 - 1.');
    return Number(side.value);
  });
  if (sides.length <= ARRAY_RANK_MAX) return sides;
  throw new FrechetError('npy-rank', `An array has at most ${ARRAY_RANK_MAX} dimensions.`, {
    limit: ARRAY_RANK_MAX,
    requested: sides.length,
  });
}

/** Recursive descent over one text; every character is looked at a bounded number of times. */
class LiteralParser {
  readonly #text: string;
  #position = 0;

  constructor(text: string) {
    this.#text = text;
  }

  /** The whole text as one dictionary with string keys. */
  dictionary(): Map<string, Literal> {
    const entries = new Map<string, Literal>();
    this.#expect('{');
    while (!this.#accept('}')) {
      const key = this.#value(0);
      if (key.kind !== 'text') throw syntax('its keys must be strings');
      if (entries.has(key.value)) throw syntax('a key occurs twice');
      this.#expect(':');
      entries.set(key.value, this.#value(0));
      if (!this.#accept(',')) {
        this.#expect('}');
        break;
      }
    }
    this.#match(WHITESPACE);
    if (this.#position < this.#text.length) throw syntax('something follows the dictionary');
    return entries;
  }

  #value(depth: number): Literal {
    if (depth > DEPTH_MAX) throw syntax('it is nested too deeply');
    if (this.#accept('(')) return this.#sequence(')', depth);
    if (this.#accept('[')) return this.#sequence(']', depth);
    const string = this.#match(STRING);
    if (string !== undefined) return { kind: 'text', value: string.slice(1, -1) };
    const number = this.#match(NUMBER);
    if (number !== undefined) {
      const digits = INTEGER.exec(number)?.[1];
      return digits === undefined ? { kind: 'other' } : { kind: 'integer', value: BigInt(digits) };
    }
    const word = this.#match(WORD);
    if (word === 'True' || word === 'False') return { kind: 'boolean', value: word === 'True' };
    if (word === 'None') return { kind: 'other' };
    throw syntax('it is not a Python literal');
  }

  /** After the opening bracket. As in Python, (x) is x, and (x,) a tuple of one. */
  #sequence(close: ')' | ']', depth: number): Literal {
    const items: Literal[] = [];
    while (!this.#accept(close)) {
      const item = this.#value(depth + 1);
      items.push(item);
      if (this.#accept(',')) continue;
      this.#expect(close);
      if (close === ')' && items.length === 1) return item;
      break;
    }
    return { kind: 'sequence', tuple: close === ')', items };
  }

  #accept(character: string): boolean {
    this.#match(WHITESPACE);
    if (this.#text[this.#position] !== character) return false;
    this.#position += 1;
    this.#match(WHITESPACE);
    return true;
  }

  #expect(character: string): void {
    if (!this.#accept(character)) throw syntax(`it lacks a ${character}`);
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#position;
    const found = pattern.exec(this.#text)?.[0];
    this.#position += found?.length ?? 0;
    return found;
  }
}

function syntax(reason: string): FrechetError {
  return fault('npy-header-syntax', `The .npy header cannot be read: ${reason}.`);
}

function fault(code: ErrorCode, detail: string): FrechetError {
  return new FrechetError(code, detail);
}
