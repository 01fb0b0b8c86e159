// Every kernel that this machine can run, by name. A kernel that a machine lacks is absent here, not skipped.

import { existsSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { selectKernel } from '../../../workers/kernels/select.ts';
import type { KernelSource } from '../../../workers/kernels/source.ts';
import { compileWasmKernel, supportsWasm } from '../../../workers/kernels/wasm/compile.ts';
import { WASM_VARIANTS } from '../../../workers/kernels/wasm/lanes.ts';

/** Where `npm start` unpacks system packages, seen from dist/test/workers/kernels. */
const PACKAGES = fileURLToPath(new URL('../../../../.cache/packages', import.meta.url));

export function availableSources(): ReadonlyMap<string, KernelSource> {
  const sources = new Map<string, KernelSource>([['reference', { name: 'reference' }]]);
  for (const variant of WASM_VARIANTS) {
    if (supportsWasm(variant)) {
      sources.set(`wasm ${variant}`, { name: 'wasm', module: compileWasmKernel(variant) });
    }
  }
  const native = nativeSource();
  if (native !== undefined) sources.set('native', native);
  return sources;
}

function nativeSource(): KernelSource | undefined {
  try {
    return selectKernel('native', libraryDirectories()).fastest;
  } catch {
    return undefined;
  }
}

/** The library folders of all unpacked packages. */
export function libraryDirectories(): string[] {
  if (!existsSync(PACKAGES)) return [];
  return readdirSync(PACKAGES)
    .map(name => `${PACKAGES}/${name}/usr/lib`)
    .filter(path => existsSync(path))
    .flatMap(path => readdirSync(path).map(name => `${path}/${name}`));
}
