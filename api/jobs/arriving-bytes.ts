// What uploads that are under way in this process have still to bring. The volume's free bytes know nothing of it, so two
// uploads would both be told of room that is there for one. Other gateways are not asked: the reserve is for what they
// take at the same time.

export type Arrival = ReturnType<ArrivingBytes['expect']>;

export class ArrivingBytes {
  #total = 0;

  get total(): number {
    return this.#total;
  }

  expect(bytes: number) {
    let rest = bytes;
    const take = (some: number) => {
      const taken = Math.min(rest, some);
      rest -= taken;
      this.#total -= taken;
    };
    this.#total += bytes;
    return {
      /** Counts what passes as come: it is on the volume, or will be in a moment. */
      async *passing(data: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
        for await (const piece of data) {
          yield piece;
          take(piece.byteLength);
        }
      },

      /** Nothing more will come, however it ended. May be repeated. */
      end: () => take(rest),
    };
  }
}
