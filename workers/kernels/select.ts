// Probe, test, choose, and say why. The one decision point: no other code asks what this machine can do.

import { FrechetError } from '../../shared/errors.ts';
import { KERNEL_NAMES, type KernelName } from './kernel.ts';
import { adviseBlis } from './native/blis.ts';
import { foreignFunctionsWork } from './native/foreign.ts';
import { libraryPaths } from './native/libraries.ts';
import { hasGemm } from './native/native-kernel.ts';
import { passesTrial } from './native/trial.ts';
import { faultOf, speedsOf } from './probe.ts';
import type { KernelSource, PortableSource } from './source.ts';
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
  readonly reproducible: PortableSource;
}

/** A kernel that could be used, or why not. */
type Candidate<Source> = { readonly source: Source; readonly label: string } | { readonly fault: string };
type Probe<Source> = () => Candidate<Source>;

interface Chosen<Source> {
  readonly source: Source;
  readonly reason: string;
}

/**
 * Chooses by `setting`; `auto` takes the fastest kernel that passes its self-test.
 * @param libraryDirectories where to look for a BLAS before the system's own places.
 * @throws unavailable where a setting names a kernel that this machine does not have.
 */
export function selectKernel(
  setting: KernelSetting,
  libraryDirectories: readonly string[] = [],
): KernelChoice {
  const relaxed = () => probeWasm('relaxed');
  const strict = () => probeWasm('strict');
  const wasm = () => (supportsWasm('relaxed') ? relaxed() : strict());
  const native = () => probeNative(libraryDirectories, first([relaxed, strict, reference]).source);
  const probes: Record<KernelSetting, readonly Probe<KernelSource>[]> = {
    auto: [() => fastest([native, wasm]), reference],
    native: [native],
    wasm: [relaxed, strict],
    reference: [reference],
  };
  const { source, reason } = first(probes[setting]);
  const reproducible = setting === 'reference' ? first([reference]) : first([strict, reference]);
  return { name: source.name, reason, fastest: source, reproducible: reproducible.source };
}

/** The fastest of those that work: a BLAS may be older than the processor, and slower than WASM on it. */
function fastest(probes: readonly Probe<KernelSource>[]): Candidate<KernelSource> {
  const candidates = probes.map(probe => probe());
  const faults = candidates.flatMap(candidate => ('fault' in candidate ? [candidate.fault] : []));
  const working = candidates.flatMap(candidate => ('source' in candidate ? [candidate] : []));
  const speeds = speedsOf(working.map(({ source }) => source));
  const [best, ...slower] = working
    .map((candidate, index) => ({ ...candidate, gflops: speeds[index]! }))
    .sort((a, b) => b.gflops - a.gflops);
  if (best === undefined) return { fault: faults.join('; ') };
  const labels = [best, ...slower].map(({ label, gflops }) => `${label}, ${gflops.toFixed(0)} GFLOP/s`);
  return { source: best.source, label: [...labels, ...faults].join('; ') };
}

/** The first that works; the faults of those before it become part of the reason. */
function first<Source>(probes: readonly Probe<Source>[]): Chosen<Source> {
  const faults: string[] = [];
  for (const probe of probes) {
    const candidate = probe();
    if ('source' in candidate) {
      return { source: candidate.source, reason: [candidate.label, ...faults].join('; ') };
    }
    faults.push(candidate.fault);
  }
  throw new FrechetError('unavailable', `The configured kernel does not work here: ${faults.join('; ')}.`);
}

function reference(): Candidate<PortableSource> {
  return { source: { name: 'reference' }, label: 'reference' };
}

function probeWasm(variant: WasmVariant): Candidate<PortableSource> {
  const label = `wasm (${variant} SIMD)`;
  if (!supportsWasm(variant)) return { fault: `${label}: not supported by this runtime` };
  const source: PortableSource = { name: 'wasm', module: compileWasmKernel(variant) };
  const fault = faultOf(source);
  return fault === undefined ? { source, label } : { fault: `${label}: ${fault}` };
}

/** The first library that loads and answers rightly. */
function probeNative(directories: readonly string[], fallback: PortableSource): Candidate<KernelSource> {
  if (!foreignFunctionsWork()) return { fault: 'native: koffi is not installed' };
  const faults: string[] = [];
  for (const { label, path } of libraryPaths(directories)) {
    const isTried = label === 'BLIS' && adviseBlis(path);
    if (!hasGemm(path)) continue;
    if (!isTried && !passesTrial(path)) {
      faults.push(`native (${label}, ${path}): it ends a process that uses it, or computes wrongly`);
      continue;
    }
    const source: KernelSource = { name: 'native', libraryPath: path, fallback };
    const fault = faultOf(source);
    if (fault === undefined) return { source, label: `native (${label}, ${path})` };
    faults.push(`native (${label}): ${fault}`);
  }
  return { fault: faults.join('; ') || 'native: no BLAS library was found' };
}
