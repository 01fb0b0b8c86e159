// Compiles the committed module. A WebAssembly.Module can be sent to threads, so one process compiles once.

import { setFlagsFromString } from 'node:v8';
import { ARTEFACT } from './artefact.ts';
import type { WasmVariant } from './lanes.ts';

/** Whether this runtime can compile the variant. On Node 20 relaxed SIMD is behind a flag, which this sets. */
export function supportsWasm(variant: WasmVariant): boolean {
  if (WebAssembly.validate(bytes(variant))) return true;
  if (variant === 'strict') return false;
  // Harmless where the flag is unknown or already the default: V8 prints nothing for flags set from here.
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
