// Sizes for an expression that nobody gave any: each dimension that may be free gets a letter. The letters are sent
// through the derivative as prime numbers that occur nowhere else, and become letters again in what is printed.

import { assert } from '../../shared/assert.ts';
import type { Syntax, SyntaxNode } from '../../shared/math/parse.ts';
import type { Shape } from '../../shared/math/shape.ts';

export interface SymbolicSizes {
  readonly shapes: ReadonlyMap<string, Shape>;
  /** A size as it is printed: letters, with `times` between two, or the number that it was given as. */
  print(size: number, times: string): string;
  /** A printed derivative with the sizes of its identities and commutations so. Any other number in it is the expression's own. */
  letter(text: string, times: string): string;
}

/** Dimensions that must be equal, as a forest; a root may know its size. */
class Dimension {
  #parent: Dimension | undefined;
  #size: number | undefined;

  constructor(size?: number) {
    this.#size = size;
  }

  get root(): Dimension {
    let root: Dimension = this;
    while (root.#parent !== undefined) root = root.#parent;
    return root;
  }

  get size(): number | undefined {
    return this.root.#size;
  }

  set size(size: number) {
    this.root.#size = size;
  }

  /** Two different known sizes stay two: building the graph then says what does not fit. */
  unite(other: Dimension): void {
    const [a, b] = [this.root, other.root];
    if (a === b || (a.#size !== undefined && b.#size !== undefined && a.#size !== b.#size)) return;
    b.#size ??= a.#size;
    a.#parent = b;
  }
}

interface Dimensions {
  readonly rows: Dimension;
  readonly cols: Dimension;
}

const LETTERS = 'mnpqrstuvw';
/** In identities and commutation matrices, as text and in LaTeX. */
const PRINTED_SIZE = /(?<=eye\(|commutation\((?:\d+, )?|I_\{|K_\{(?:\d+,)?)\d+/g;
/** Larger than sizes in examples, and prime, so that a product of two is told from a third. */
const PRIMES = [100_003, 100_019, 100_043, 100_049, 100_057, 100_069, 100_103, 100_109, 100_129, 100_151];

/** @param given shapes that are known */
export function chooseSizes(syntax: Syntax, given: ReadonlyMap<string, Shape>): SymbolicSizes {
  const named = equateDimensions(syntax, given);
  const letters = [...LETTERS].filter(letter => !syntax.names.includes(letter));
  const symbols: { readonly size: number; readonly letter: string }[] = [];
  const known = [...given.values()].flatMap(({ rows, cols }) => [rows, cols]);
  const primes = PRIMES.filter(prime => known.every(size => size === 0 || size % prime !== 0));
  for (const { rows, cols } of named.values()) {
    for (const dimension of [rows, cols]) {
      if (dimension.size !== undefined) continue;
      const size = primes[symbols.length] ?? 2 ** 21 + symbols.length;
      dimension.size = size;
      symbols.push({ size, letter: letters[symbols.length] ?? `n${symbols.length}` });
    }
  }
  const print = (size: number, times: string) => lettersOf(size, symbols, times) ?? String(size);
  return {
    shapes: new Map(
      [...named].map(([name, { rows, cols }]) => [name, { rows: rows.size ?? 1, cols: cols.size ?? 1 }]),
    ),
    print,
    letter: (text, times) => text.replaceAll(PRINTED_SIZE, digits => print(Number(digits), times)),
  };
}

function lettersOf(
  size: number,
  symbols: readonly { readonly size: number; readonly letter: string }[],
  times: string,
): string | undefined {
  for (const a of symbols) {
    if (a.size === size) return a.letter;
    for (const b of symbols) if (a.size * b.size === size) return `${a.letter}${times}${b.letter}`;
    // One side may be known, as in a 2×n variable.
    const factor = size / a.size;
    if (Number.isInteger(factor) && factor < 100_000) return `${factor}${times}${a.letter}`;
  }
  return undefined;
}

/** As operators demand it, where every product is a matrix product unless a factor is known to be 1×1. */
function equateDimensions(
  syntax: Syntax,
  given: ReadonlyMap<string, Shape>,
): ReadonlyMap<string, Dimensions> {
  const named = new Map(
    syntax.names.map((name): [string, Dimensions] => {
      const shape = given.get(name);
      return [name, { rows: new Dimension(shape?.rows), cols: new Dimension(shape?.cols) }];
    }),
  );
  const found: Dimensions[] = [];
  for (const node of syntax.nodes) found.push(dimensionsOf(node));
  return named;

  function at(index: number): Dimensions {
    const dimensions = found[index];
    assert(dimensions !== undefined, 'syntax is in postfix order');
    return dimensions;
  }

  function dimensionsOf(node: SyntaxNode): Dimensions {
    switch (node.kind) {
      case 'name':
        return named.get(node.name)!; // the map is made of the names
      case 'number':
        return { rows: new Dimension(1), cols: new Dimension(1) };
      case 'negation':
        return at(node.operand);
      case 'transpose':
        return { rows: at(node.operand).cols, cols: at(node.operand).rows };
      case 'product':
        return product(at(node.left), at(node.right));
      case 'sum':
      case 'difference':
        at(node.left).rows.unite(at(node.right).rows);
        at(node.left).cols.unite(at(node.right).cols);
        return at(node.left);
    }
  }
}

function product(left: Dimensions, right: Dimensions): Dimensions {
  if (isScalar(left)) return right;
  if (isScalar(right)) return left;
  left.cols.unite(right.rows);
  return { rows: left.rows, cols: right.cols };
}

function isScalar({ rows, cols }: Dimensions): boolean {
  return rows.size === 1 && cols.size === 1;
}
