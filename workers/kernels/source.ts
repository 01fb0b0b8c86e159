// From a choice made once, on the main thread, to kernels in each thread. A source is data that can be posted.

import { assert, unreachable } from '../../shared/assert.ts';
import type { Kernel, KernelName, Scratch } from './kernel.ts';
import { createNativeKernel } from './native/native-kernel.ts';
import { createReferenceKernel, REFERENCE_SCRATCH_BYTES } from './reference/reference-kernel.ts';
import { createReferenceVectors } from './reference/reference-vectors.ts';
import type { Vectors } from './vectors.ts';
import { WASM_SCRATCH_BYTES } from './wasm/blocking.ts';
import { createWasmKernel } from './wasm/wasm-kernel.ts';
import { createWasmVectors } from './wasm/wasm-vectors.ts';

/** What a thread needs to build a kernel. */
export type KernelSource = NativeSource | PortableSource;

/** Kernels that need nothing from the system. */
export type PortableSource =
  | { readonly name: 'wasm'; readonly module: WebAssembly.Module }
  | { readonly name: 'reference' };

export interface NativeSource {
  readonly name: 'native';
  readonly libraryPath: string;
  /** For tiles that BLAS cannot express. */
  readonly fallback: PortableSource;
}

const SCRATCH_BYTES = {
  // What its fallback needs, whichever that is.
  native: Math.max(WASM_SCRATCH_BYTES, REFERENCE_SCRATCH_BYTES),
  wasm: WASM_SCRATCH_BYTES,
  reference: REFERENCE_SCRATCH_BYTES,
} as const satisfies Record<KernelName, number>;

/** Bytes of scratch that a thread must set aside for a kernel, 64-byte aligned. */
export function scratchBytes(name: KernelName): number {
  return SCRATCH_BYTES[name];
}

/** Builds a kernel in the thread that calls. A source that was tested on the main thread works in every other. */
export function createKernel(source: KernelSource, memory: WebAssembly.Memory, scratch: Scratch): Kernel {
  switch (source.name) {
    case 'reference':
      return createReferenceKernel(memory, scratch);
    case 'wasm':
      return createWasmKernel(source.module, memory, scratch);
    case 'native': {
      const fallback = createKernel(source.fallback, memory, scratch);
      const kernel = createNativeKernel(source.libraryPath, memory, fallback);
      assert(kernel !== undefined, 'a library that was chosen can be loaded');
      return kernel;
    }
    default:
      return unreachable(source);
  }
}

/** The matrix-vector products that go with a source; they need no scratch. */
export function createVectors(source: KernelSource, memory: WebAssembly.Memory): Vectors {
  switch (source.name) {
    case 'reference':
      return createReferenceVectors(memory);
    case 'wasm':
      return createWasmVectors(source.module, memory);
    case 'native':
      return createVectors(source.fallback, memory);
    default:
      return unreachable(source);
  }
}
