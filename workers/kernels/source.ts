// From a choice made once, on the main thread, to kernels in each thread. A source is data that can be posted.

import { unreachable } from '../../shared/assert.ts';
import type { Kernel, KernelName, Scratch } from './kernel.ts';
import { createReferenceKernel, REFERENCE_SCRATCH_BYTES } from './reference/reference-kernel.ts';
import { WASM_SCRATCH_BYTES } from './wasm/blocking.ts';
import { createWasmKernel } from './wasm/wasm-kernel.ts';

/** What a thread needs to build a kernel. */
export type KernelSource =
  | { readonly name: 'reference' }
  | { readonly name: 'wasm'; readonly module: WebAssembly.Module };

const SCRATCH_BYTES = {
  native: WASM_SCRATCH_BYTES,
  wasm: WASM_SCRATCH_BYTES,
  reference: REFERENCE_SCRATCH_BYTES,
} as const satisfies Record<KernelName, number>;

/** Bytes of scratch that a thread must set aside for a kernel, 64-byte aligned. */
export function scratchBytes(name: KernelName): number {
  return SCRATCH_BYTES[name];
}

export function createKernel(source: KernelSource, memory: WebAssembly.Memory, scratch: Scratch): Kernel {
  switch (source.name) {
    case 'reference':
      return createReferenceKernel(memory, scratch);
    case 'wasm':
      return createWasmKernel(source.module, memory, scratch);
    default:
      return unreachable(source);
  }
}
