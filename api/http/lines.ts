// A body as lines, while it arrives: what newline-delimited JSON needs. At most one line is held; the rest of one that is
// too long is skipped, so that it harms no other.

export interface TextLine {
  /** From 1; blank lines count. */
  readonly number: number;
  /** Without its end; undefined where it is longer than it may be. */
  readonly bytes: Uint8Array | undefined;
}

const NEWLINE = 10;

/** Lines end with LF or CRLF, the last one with the body. Blank ones are left out. */
export async function* readLines(
  chunks: AsyncIterable<Uint8Array>,
  bytesMax: number,
): AsyncGenerator<TextLine> {
  let number = 1;
  let held: Uint8Array[] = [];
  let heldBytes = 0;
  const take = (piece: Uint8Array) => {
    heldBytes += piece.byteLength;
    // The bytes of a chunk may be used again by whoever made it.
    if (heldBytes <= bytesMax) held.push(Uint8Array.from(piece));
    else held = [];
  };
  const finish = (): TextLine => {
    const line = { number, bytes: heldBytes > bytesMax ? undefined : Buffer.concat(held) };
    number += 1;
    held = [];
    heldBytes = 0;
    return line;
  };
  for await (const chunk of chunks) {
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
      take(chunk.subarray(start, end));
      const line = finish();
      if (!isBlank(line)) yield line;
      start = end + 1;
    }
    take(chunk.subarray(start));
  }
  const last = finish();
  if (!isBlank(last)) yield last;
}

function isBlank({ bytes }: TextLine): boolean {
  return bytes?.every(byte => byte === 0x20 || byte === 0x09 || byte === 0x0d) ?? false;
}
