// What bad memory does to a block before its test. A fault in a packed panel is a product that was made with one wrong
// bit in an operand, in one tile, while the operand itself is right. A fault in an operand half-way is one that some
// tiles saw, and the test sees, but other tiles did not. An operand that is wrong from the start gives the right
// product of another matrix, which no test of the product can find: digests at loading and fingerprints are for that.

import type { FloatArray } from '../../shared/math/dtype.ts';
import { DTYPES } from '../../shared/math/dtype.ts';
import type { View } from '../../shared/math/view.ts';
import { combineTile } from '../../workers/execute/combine.ts';
import type { CombineTask, ProductTerm } from '../../workers/execute/task.ts';
import type { Tile } from '../../workers/execute/tile.ts';
import type { Kernel } from '../../workers/kernels/kernel.ts';
import { below } from './blocks.ts';

/** Where damage is done: one finished step, the whole memory, and a kernel over it for this thread. */
export interface Site {
  readonly task: CombineTask;
  readonly data: FloatArray;
  readonly kernel: Kernel;
  readonly random: () => number;
}

type Rectangle = Omit<Tile, 'memberStart' | 'memberStop'>;

export type Damage = keyof typeof DAMAGES;

/** Each flips one bit. */
export const DAMAGES = {
  result: site => flip(site, site.task.c),
  'packed panel of A': site => damageLeft(site)(),
  'packed panel of B': site => damageRight(site)(),
  'left operand, half-way': site => void damageLeft(site),
  'right operand, half-way': site => void damageRight(site),
} as const satisfies Record<string, (site: Site) => void>;

/** Computes a part of one row of C again, from a row of A with a wrong bit. @returns what rights the bit */
function damageLeft(site: Site): () => void {
  const { task, random } = site;
  const { a } = product(site);
  const row = below(a.rows, random);
  const undo = flip(site, { ...a, rows: 1, offset: a.offset + row * a.rowStride });
  const [colStart, colStop] = range(task.c.cols, random);
  recompute(site, { rowStart: row, rowStop: row + 1, colStart, colStop });
  return undo;
}

/** The same for a column of C and B. */
function damageRight(site: Site): () => void {
  const { task, random } = site;
  const { b } = product(site);
  const column = below(b.cols, random);
  const undo = flip(site, { ...b, cols: 1, offset: b.offset + column * b.colStride });
  const [rowStart, rowStop] = range(task.c.rows, random);
  recompute(site, { rowStart, rowStop, colStart: column, colStop: column + 1 });
  return undo;
}

function product({ task, random }: Site): ProductTerm {
  const products = task.terms.filter(term => term.kind === 'product');
  return products[below(products.length, random)]!;
}

function range(total: number, random: () => number): [start: number, stop: number] {
  const start = below(total, random);
  return [start, start + 1 + below(total - start, random)];
}

/** Flips a random bit of a random element of a view. @returns what undoes it */
function flip({ task, data, random }: Site, view: View): () => void {
  const { bytes } = DTYPES[task.dtype];
  const element =
    view.offset + below(view.rows, random) * view.rowStride + below(view.cols, random) * view.colStride;
  const bit = below(8 * bytes, random);
  const memory = new Uint8Array(data.buffer);
  const toggle = () => {
    memory[element * bytes + (bit >> 3)]! ^= 1 << (bit & 7);
  };
  toggle();
  return toggle;
}

/** Computes a part of C, or all of it, from the operands as they are. */
export function recompute({ task, data, kernel }: Omit<Site, 'random'>, part?: Rectangle): void {
  const whole = { rowStart: 0, rowStop: task.c.rows, colStart: 0, colStop: task.c.cols };
  combineTile(task, { memberStart: 0, memberStop: 1, ...(part ?? whole) }, data, kernel);
}
