// C ← Σ terms on one tile: matrices first, then Kronecker columns, then products, each added to what is there.
// The order is fixed, so that a result does not depend on who computed which tile.

import { unreachable } from '../../shared/assert.ts';
import { type FloatArray, floatArray } from '../../shared/math/dtype.ts';
import { sliceView, type View } from '../../shared/math/view.ts';
import type { Kernel } from '../kernels/kernel.ts';
import { addScaled, type FactorColumn, fillZero, writeKronColumn } from './elements.ts';
import type { CombineTask, KronFactor, KronTerm, StackView, Term } from './task.ts';

/** A rectangle of one member of a step's output; half-open. */
export interface Tile {
  readonly member: number;
  readonly rowStart: number;
  readonly rowStop: number;
  readonly colStart: number;
  readonly colStop: number;
}

/** Tile `index` of a stack of rows×cols matrices cut into tiles of at most tileRows×tileCols, row by row. */
export function tileAt(index: number, rows: number, cols: number, tileRows: number, tileCols: number): Tile {
  const across = Math.ceil(cols / tileCols);
  const perMember = Math.ceil(rows / tileRows) * across;
  const within = index % perMember;
  const rowStart = Math.floor(within / across) * tileRows;
  const colStart = (within % across) * tileCols;
  return {
    member: Math.floor(index / perMember),
    rowStart,
    rowStop: Math.min(rows, rowStart + tileRows),
    colStart,
    colStop: Math.min(cols, colStart + tileCols),
  };
}

/** How many tiles `tileAt` cuts. */
export function tileCount(
  members: number,
  rows: number,
  cols: number,
  tileRows: number,
  tileCols: number,
): number {
  return members * Math.ceil(rows / tileRows) * Math.ceil(cols / tileCols);
}

export function memberView(stack: StackView, member: number): View {
  return { ...stack, offset: stack.offset + member * stack.memberStride };
}

export function wholeArray(memory: WebAssembly.Memory, dtype: CombineTask['dtype']): FloatArray {
  const bytes = dtype === 'float64' ? 8 : 4;
  return floatArray(dtype, memory.buffer, 0, Math.floor(memory.buffer.byteLength / bytes));
}

const ORDER = { matrix: 0, kron: 1, product: 2 } as const satisfies Record<Term['kind'], number>;

export function combineTile(task: CombineTask, tile: Tile, data: FloatArray, kernel: Kernel): void {
  const whole = memberView(task.c, tile.member);
  const c = sliceView(whole, tile.rowStart, tile.rowStop, tile.colStart, tile.colStop);
  const terms = [...task.terms].sort((a, b) => ORDER[a.kind] - ORDER[b.kind]);
  if (terms.length === 0) fillZero(data, c);
  for (const [index, term] of terms.entries()) addTerm(task, term, tile, data, c, kernel, index > 0);
}

function addTerm(
  task: CombineTask,
  term: Term,
  tile: Tile,
  data: FloatArray,
  c: View,
  kernel: Kernel,
  accumulate: boolean,
): void {
  switch (term.kind) {
    case 'matrix': {
      const sigma = term.scalar === null ? 1 : data[memberView(term.scalar, tile.member).offset]!;
      const x = sliceView(
        memberView(term.x, tile.member),
        tile.rowStart,
        tile.rowStop,
        tile.colStart,
        tile.colStop,
      );
      addScaled(data, c, x, term.coefficient * sigma, accumulate);
      return;
    }
    case 'kron':
      addKron(term, tile, data, c, accumulate);
      return;
    case 'product': {
      const a = memberView(term.a, tile.member);
      const b = memberView(term.b, tile.member);
      kernel.gemm({
        dtype: task.dtype,
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
function addKron(term: KronTerm, tile: Tile, data: FloatArray, c: View, accumulate: boolean): void {
  if (!accumulate) fillZero(data, c);
  const n = term.swap ? term.left.cols : term.right.cols;
  for (let column = tile.colStart; column < tile.colStop; column++) {
    const q = term.firstColumn + column;
    const [i, j] = [q % n, Math.floor(q / n)];
    const left = factorColumn(term.left, tile.member, term.swap ? i : j);
    const right = factorColumn(term.right, tile.member, term.swap ? j : i);
    const to = c.offset + (column - tile.colStart) * c.colStride;
    writeKronColumn(data, to, tile.rowStart, tile.rowStop, left, right, term.coefficient, accumulate);
  }
}

function factorColumn(factor: KronFactor, member: number, column: number): FactorColumn {
  const values = factor.values === null ? null : memberView(factor.values, member);
  return { rows: factor.rows, values, column };
}
