// How a step's output is cut into tiles. A tile packs its own rows of A and columns of B, so it must be large enough
// to make that cheap, and there must be enough of them to keep all threads busy to the end. No result depends on it.

import type { Term } from '../execute/task.ts';
import type { Placed } from './plan.ts';

/** Side of a square tile at which packing costs about 1 % of the arithmetic. */
const TILE_SIDE = 512;
/** Tiles a thread: the last ones even out threads of different speed. */
const TILES_PER_THREAD = 3;
/** Multiple of every micro-kernel's rows and columns, so that only the last tile is ragged. */
const GRAIN = 32;
/** Elements of a tile without products: about what fits the second-level cache. */
const ELEMENTS_PER_TILE = 65_536;

export interface TileSize {
  readonly tileRows: number;
  readonly tileCols: number;
}

/** Tile of a rows×cols output, of which there are `members`, for that many threads. */
export function chooseTiles(
  rows: number,
  cols: number,
  members: number,
  terms: readonly Term<Placed>[],
  threads: number,
): TileSize {
  const isProduct = terms.some(term => term.kind === 'product');
  if (!isProduct) return elementTiles(rows, cols, terms);
  let tileRows = Math.min(rows, TILE_SIDE);
  let tileCols = Math.min(cols, TILE_SIDE);
  const wanted = threads * TILES_PER_THREAD;
  while (
    members * count(rows, tileRows) * count(cols, tileCols) < wanted &&
    Math.max(tileRows, tileCols) > 4 * GRAIN
  ) {
    if (tileRows >= tileCols) tileRows = half(tileRows);
    else tileCols = half(tileCols);
  }
  return { tileRows: Math.max(1, tileRows), tileCols: Math.max(1, tileCols) };
}

/** Rows of a row-major output; columns of a Jacobian, which is column-major. */
function elementTiles(rows: number, cols: number, terms: readonly Term<Placed>[]): TileSize {
  const isColumnMajor = terms.some(term => term.kind === 'kron');
  const [along, across] = isColumnMajor ? [rows, cols] : [cols, rows];
  const lines = Math.max(1, Math.min(across, Math.floor(ELEMENTS_PER_TILE / Math.max(1, along))));
  return isColumnMajor
    ? { tileRows: Math.max(1, rows), tileCols: lines }
    : { tileRows: lines, tileCols: Math.max(1, cols) };
}

function count(total: number, size: number): number {
  return Math.ceil(total / Math.max(1, size));
}

function half(size: number): number {
  return Math.ceil(size / 2 / GRAIN) * GRAIN;
}
