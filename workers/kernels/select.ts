// Probe, test, choose, and say why. The one decision point: no other code asks what this machine can do.

import { FrechetError } from '../../shared/errors.ts';
import { KERNEL_NAMES, type KernelName } from './kernel.ts';
import { selfTest } from './self-test.ts';
import { createKernel, type KernelSource, scratchBytes } from './source.ts';
import { compileWasmKernel, supportsWasm } from './wasm/compile.ts';
import type { WasmVariant } from './wasm/lanes.ts';

export const KERNEL_SETTINGS = ['auto', ...KERNEL_NAMES] as const;
export type KernelSetting = (typeof KERNEL_SETTINGS)[number];

/** Which kernels the threads of this process use. Can be posted to a thread. */
export interface KernelChoice {
  readonly name: KernelName;
  /** One line for the log: what was chosen, and what was wrong with the ones before it. */
  readonly reason: string;
  readonly fastest: KernelSource;
  /** For reproducible jobs: the strict WASM kernel, or the reference, which has the same bits. */
  readonly reproducible: KernelSource;
}

/** A kernel that could be used, or why not. */
type Candidate = { readonly source: KernelSource; readonly label: string } | { readonly fault: string };

/**
 * Chooses by `setting`; `auto` takes the fastest kernel that passes its self-test.
 * @throws unavailable where a setting names a kernel that this machine does not have.
 */
export function selectKernel(setting: KernelSetting): KernelChoice {
  const reference: Candidate = { source: { name: 'reference' }, label: 'reference' };
  const strict = setting === 'reference' ? reference : tested('strict');
  const table: Record<KernelSetting, Candidate[]> = {
    auto: [tested('relaxed'), strict, reference],
    native: [{ fault: 'no BLAS library was found' }],
    wasm: [tested('relaxed'), strict],
    reference: [reference],
  };
  const candidates = table[setting];
  const faults: string[] = [];
  for (const candidate of candidates) {
    if ('fault' in candidate) {
      faults.push(candidate.fault);
      continue;
    }
    return {
      name: candidate.source.name,
      reason: [candidate.label, ...faults].join('; '),
      fastest: candidate.source,
      reproducible: 'source' in strict ? strict.source : reference.source,
    };
  }
  throw new FrechetError('unavailable', `No ${setting} kernel works here: ${faults.join('; ')}.`);
}

function tested(variant: WasmVariant): Candidate {
  const label = `wasm (${variant} SIMD)`;
  if (!supportsWasm(variant)) return { fault: `${label}: not supported by this runtime` };
  const source: KernelSource = { name: 'wasm', module: compileWasmKernel(variant) };
  const fault = test(source);
  return fault === undefined ? { source, label } : { fault: `${label}: ${fault}` };
}

/** Runs the self-test in a small memory of its own. */
function test(source: KernelSource): string | undefined {
  const scratch = { byteOffset: 0, byteLength: scratchBytes(source.name) };
  const pages = Math.ceil(scratch.byteLength / 65536) + 1;
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  return selfTest(createKernel(source, memory, scratch), memory, (pages - 1) * 65536);
}
