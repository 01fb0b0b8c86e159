// How a step's output is cut into tiles. A tile packs its own rows of A and columns of B, so it must be large enough
// to make that cheap, and there must be enough of them to keep all threads busy to the end. No result depends on it.

import type { StackView, Term } from '../execute/task.ts';
import type { TileSize } from '../execute/tile.ts';

/** Side of a square tile at which packing costs about 1 % of the arithmetic. */
const TILE_SIDE = 512;
/** Tiles a thread: the last ones even out threads of different speed. */
const TILES_PER_THREAD = 3;
/** Multiple of every micro-kernel's rows and columns, so that only the last tile is ragged. */
const GRAIN = 32;
/** Elements of a tile without products, or multiplications of small members that share one: some 50 µs of work. */
const WORK_PER_TILE = 65_536;
/** Rows of a matrix-vector product in one tile: what a thread has room for (verify/freivalds.ts). */
export const ROWS_PER_TILE_MAX = 512;

/** A stack of outputs. */
type Output = Pick<StackView, 'rows' | 'cols' | 'rowStride' | 'colStride'>;
type Inner = Pick<StackView, 'cols'>;

/** Tiles of `members` outputs C, for that many threads. */
export function chooseTiles(
  c: Output,
  members: number,
  terms: readonly Term<Inner>[],
  threads: number,
): TileSize {
  const products = terms.filter(term => term.kind === 'product');
  const [tileRows, tileCols] = products.length > 0 ? productTile(c, members, threads) : elementTile(c);
  const isWhole = tileRows >= c.rows && tileCols >= c.cols;
  const innerLength = products.reduce((sum, { a }) => sum + a.cols, 1);
  const work = c.rows * c.cols * innerLength;
  return { tileMembers: isWhole ? memberRun(work, members, threads) : 1, tileRows, tileCols };
}

/** Tiles of a matrix-vector product over `members` matrices. Where columns are contiguous, long pieces of them are read. */
export function rowTiles(
  { rows, cols, rowStride, colStride }: Output,
  members: number,
  threads: number,
): TileSize {
  const isColumnMajor = rowStride < colStride;
  const fair = Math.max(GRAIN, Math.ceil(rows / threads));
  const quick = Math.ceil(WORK_PER_TILE / Math.max(1, cols));
  const wanted = isColumnMajor ? Math.max(fair, quick) : quick;
  const tileRows = Math.max(1, Math.min(rows, wanted, ROWS_PER_TILE_MAX));
  return {
    tileMembers: tileRows < rows ? 1 : memberRun(rows * cols, members, threads),
    tileRows,
    tileCols: 1,
  };
}

function productTile({ rows, cols }: Output, members: number, threads: number): [rows: number, cols: number] {
  let tileRows = Math.max(1, Math.min(rows, TILE_SIDE));
  let tileCols = Math.max(1, Math.min(cols, TILE_SIDE));
  const wanted = threads * TILES_PER_THREAD;
  while (members * count(rows, tileRows) * count(cols, tileCols) < wanted) {
    if (Math.max(tileRows, tileCols) <= 4 * GRAIN) break;
    if (tileRows >= tileCols) tileRows = half(tileRows);
    else tileCols = half(tileCols);
  }
  return [tileRows, tileCols];
}

/** Whole lines of C, as they lie in memory. */
function elementTile({ rows, cols, rowStride, colStride }: Output): [rows: number, cols: number] {
  const isColumnMajor = rowStride < colStride;
  const [along, across] = isColumnMajor ? [rows, cols] : [cols, rows];
  const lines = Math.max(1, Math.min(across, Math.floor(WORK_PER_TILE / Math.max(1, along))));
  return isColumnMajor ? [Math.max(1, rows), lines] : [lines, Math.max(1, cols)];
}

/** Small members are taken many at a time, because taking a tile costs more than a product of 8×8 matrices. */
function memberRun(workOfMember: number, members: number, threads: number): number {
  const cheap = Math.floor(WORK_PER_TILE / Math.max(1, workOfMember));
  const fair = Math.ceil(members / (threads * TILES_PER_THREAD));
  return Math.max(1, Math.min(cheap, fair));
}

function count(total: number, size: number): number {
  return Math.ceil(total / size);
}

function half(size: number): number {
  return Math.ceil(size / 2 / GRAIN) * GRAIN;
}
