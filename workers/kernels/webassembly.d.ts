// The part of WebAssembly's JavaScript interface that Frechet uses: @types/node declares it only from version 22 on,
// and the DOM library, which has it, would let browser globals into server code.

declare namespace WebAssembly {
  /** Compiled code; can be posted to a thread. */
  class Module {
    constructor(bytes: Uint8Array<ArrayBuffer>);
  }

  type Exports = Record<string, unknown>;

  class Instance {
    constructor(module: Module, imports?: Record<string, Record<string, unknown>>);
    readonly exports: Exports;
  }

  /** In pages of 64 KiB. A shared memory needs a maximum, and can be posted to a thread. */
  interface MemoryDescriptor {
    readonly initial: number;
    readonly maximum: number;
    readonly shared: true;
  }

  class Memory {
    constructor(descriptor: MemoryDescriptor);
    readonly buffer: SharedArrayBuffer;
    /** Adds pages and answers how many there were. Views over the old `buffer` keep their length. */
    grow(pages: number): number;
  }

  function validate(bytes: Uint8Array<ArrayBuffer>): boolean;
}
