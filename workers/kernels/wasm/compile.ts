// Compiles the committed module. A WebAssembly.Module can be sent to threads, so one process compiles once.

import { setFlagsFromString } from 'node:v8';
import { ARTEFACT } from './artefact.ts';
import type { WasmVariant } from './lanes.ts';

/** Whether this runtime can compile the variant. On Node 20 relaxed SIMD is behind a flag, which this sets. */
export function supportsWasm(variant: WasmVariant): boolean {
  if (WebAssembly.validate(bytes(variant))) return true;
  if (variant === 'strict') return false;
  // Every V8 without relaxed SIMD that Frechet runs on has this flag; one without it would print a line on stderr.
  setFlagsFromString('--experimental-wasm-relaxed-simd');
  return WebAssembly.validate(bytes(variant));
}

/** @throws WebAssembly.CompileError where `supportsWasm(variant)` is false. */
export function compileWasmKernel(variant: WasmVariant): WebAssembly.Module {
  supportsWasm(variant);
  return new WebAssembly.Module(bytes(variant));
}

function bytes(variant: WasmVariant): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(Buffer.from(ARTEFACT[variant], 'base64'));
}
