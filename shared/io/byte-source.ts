// Reading an exact number of bytes from a stream that comes in pieces of any size, then the rest as it comes.

export class ByteSource {
  readonly #iterator: AsyncIterator<Uint8Array>;
  #left: Uint8Array = new Uint8Array(0);

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#iterator = source[Symbol.asyncIterator]();
  }

  /** The next `count` bytes in memory of their own, or fewer where the stream ends. Linear in `count`, not in pieces. */
  async take(count: number): Promise<Buffer> {
    const taken = Buffer.alloc(count);
    let filled = 0;
    while (filled < count) {
      const piece = await this.#next();
      if (piece === undefined) break;
      const part = piece.subarray(0, count - filled);
      taken.set(part, filled);
      filled += part.byteLength;
      this.#left = piece.subarray(part.byteLength);
    }
    return taken.subarray(0, filled);
  }

  /** Everything after what was taken, piece by piece. Leaving the loop closes the stream. */
  async *rest(): AsyncGenerator<Uint8Array> {
    try {
      for (let piece = await this.#next(); piece !== undefined; piece = await this.#next()) yield piece;
    } finally {
      await this.close();
    }
  }

  async close(): Promise<void> {
    await this.#iterator.return?.();
  }

  async #next(): Promise<Uint8Array | undefined> {
    if (this.#left.byteLength > 0) {
      const piece = this.#left;
      this.#left = new Uint8Array(0);
      return piece;
    }
    const next = await this.#iterator.next();
    return next.done === true ? undefined : next.value;
  }
}
