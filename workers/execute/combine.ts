// C ← Σ terms on one tile: matrices first, then Kronecker columns, then products, each added to what is there.
// The order is fixed, so that a result does not depend on who computed which tile.

import { unreachable } from '../../shared/assert.ts';
import type { FloatArray } from '../../shared/math/dtype.ts';
import { sliceView, type View } from '../../shared/math/view.ts';
import type { Kernel } from '../kernels/kernel.ts';
import { addScaled, type FactorColumn, fillZero, writeKronColumn } from './elements.ts';
import { type CombineTask, type KronFactor, type KronTerm, memberView, type Term } from './task.ts';
import type { Tile } from './tile.ts';

const ORDER = { matrix: 0, kron: 1, product: 2 } as const satisfies Record<Term['kind'], number>;

/** Fills a tile. `data` is the whole memory, `kernel` works over the same. */
export function combineTile(task: CombineTask, tile: Tile, data: FloatArray, kernel: Kernel): void {
  const terms = [...task.terms].sort((a, b) => ORDER[a.kind] - ORDER[b.kind]);
  for (let member = tile.memberStart; member < tile.memberStop; member++) {
    const whole = memberView(task.c, member);
    const c = sliceView(whole, tile.rowStart, tile.rowStop, tile.colStart, tile.colStop);
    if (terms.length === 0) fillZero(data, c);
    const place = { dtype: task.dtype, member, tile, data, c, kernel };
    for (let index = 0; index < terms.length; index++) addTerm(place, terms[index]!, index > 0);
  }
}

/** One member's part of a tile, and what it takes to fill it. */
interface Place {
  readonly dtype: CombineTask['dtype'];
  readonly member: number;
  readonly tile: Tile;
  readonly data: FloatArray;
  readonly c: View;
  readonly kernel: Kernel;
}

function addTerm(place: Place, term: Term, accumulate: boolean): void {
  const { dtype, member, tile, data, c, kernel } = place;
  switch (term.kind) {
    case 'matrix': {
      const x = memberView(term.x, member);
      const part = sliceView(x, tile.rowStart, tile.rowStop, tile.colStart, tile.colStop);
      const sigma = term.scalar === null ? 1 : data[memberView(term.scalar, member).offset]!;
      addScaled(data, c, part, term.coefficient * sigma, accumulate);
      return;
    }
    case 'kron':
      addKron(place, term, accumulate);
      return;
    case 'product': {
      const a = memberView(term.a, member);
      const b = memberView(term.b, member);
      kernel.gemm({
        dtype,
        alpha: term.alpha,
        a: sliceView(a, tile.rowStart, tile.rowStop, 0, a.cols),
        b: sliceView(b, 0, b.rows, tile.colStart, tile.colStop),
        beta: accumulate ? 1 : 0,
        c,
      });
      return;
    }
    default:
      unreachable(term);
  }
}

/** Column q = j·n + i of the Jacobian belongs to entry (i, j) of H: columns j and i of the factors, or with `swap` i and j. */
function addKron({ member, tile, data, c }: Place, term: KronTerm, accumulate: boolean): void {
  if (!accumulate) fillZero(data, c);
  const n = term.swap ? term.left.cols : term.right.cols;
  for (let column = tile.colStart; column < tile.colStop; column++) {
    const q = term.firstColumn + column;
    const [i, j] = [q % n, Math.floor(q / n)];
    const left = factorColumn(term.left, member, term.swap ? i : j);
    const right = factorColumn(term.right, member, term.swap ? j : i);
    const to = c.offset + (column - tile.colStart) * c.colStride;
    writeKronColumn(data, to, tile.rowStart, tile.rowStop, left, right, term.coefficient, accumulate);
  }
}

function factorColumn(factor: KronFactor, member: number, column: number): FactorColumn {
  const values = factor.values === null ? null : memberView(factor.values, member);
  return { rows: factor.rows, values, column };
}
