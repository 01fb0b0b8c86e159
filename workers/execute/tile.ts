// Tiles by number: which members, rows and columns of a stack of outputs tile `index` covers. Every tile is covered
// by exactly one index, so that threads agree by counting.

/** A stack of rows×cols matrices. */
export interface Extent {
  readonly members: number;
  readonly rows: number;
  readonly cols: number;
}

/** A tile covers so many members, and of each so many rows and columns; more than one member only where it covers them whole. */
export interface TileSize {
  readonly tileMembers: number;
  readonly tileRows: number;
  readonly tileCols: number;
}

/** A rectangle of some members of a step's output; half-open. */
export interface Tile {
  readonly memberStart: number;
  readonly memberStop: number;
  readonly rowStart: number;
  readonly rowStop: number;
  readonly colStart: number;
  readonly colStop: number;
}

/** How many tiles cover a stack. */
export function tileCount({ members, rows, cols }: Extent, size: TileSize): number {
  const { tileMembers, tileRows, tileCols } = size;
  return Math.ceil(members / tileMembers) * Math.ceil(rows / tileRows) * Math.ceil(cols / tileCols);
}

/** Tile `index` < tileCount: runs of members one after the other, each cut row by row. */
export function tileAt(index: number, { members, rows, cols }: Extent, size: TileSize): Tile {
  const { tileMembers, tileRows, tileCols } = size;
  const across = Math.ceil(cols / tileCols);
  const perRun = Math.ceil(rows / tileRows) * across;
  const within = index % perRun;
  const memberStart = Math.floor(index / perRun) * tileMembers;
  const rowStart = Math.floor(within / across) * tileRows;
  const colStart = (within % across) * tileCols;
  return {
    memberStart,
    memberStop: Math.min(members, memberStart + tileMembers),
    rowStart,
    rowStop: Math.min(rows, rowStart + tileRows),
    colStart,
    colStop: Math.min(cols, colStart + tileCols),
  };
}
