// Every kernel that this machine can run, by name. A kernel that a machine lacks is absent here, not skipped.

import type { KernelSource } from '../../../workers/kernels/source.ts';
import { compileWasmKernel, supportsWasm } from '../../../workers/kernels/wasm/compile.ts';
import { WASM_VARIANTS } from '../../../workers/kernels/wasm/lanes.ts';

export function availableSources(): ReadonlyMap<string, KernelSource> {
  const sources = new Map<string, KernelSource>([['reference', { name: 'reference' }]]);
  for (const variant of WASM_VARIANTS) {
    if (supportsWasm(variant))
      sources.set(`wasm ${variant}`, { name: 'wasm', module: compileWasmKernel(variant) });
  }
  return sources;
}
