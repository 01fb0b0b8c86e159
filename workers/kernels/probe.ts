// What a kernel is worth on this machine: is it right, and how fast is it? In a small memory of its own.

import { DTYPES, type Dtype } from '../../shared/math/dtype.ts';
import { denseView, type View } from '../../shared/math/view.ts';
import type { Kernel } from './kernel.ts';
import { selfTest } from './self-test.ts';
import { createKernel, type KernelSource, scratchBytes } from './source.ts';

const PAGE_BYTES = 65_536;
/** A product that fills no cache but the first two, and is done in less than a millisecond. */
const SIDE = 192;
/** What a job may be computed in. */
const DTYPE_NAMES = Object.keys(DTYPES) as Dtype[]; // its own keys
/** Long enough for an engine to have compiled its best. */
const MEASURED_MS = 40;
/** Where the process gets only a share of a core, time passes without a product; the best of few would be luck. */
const ROUNDS_MIN = 50;

/** A sentence about the first wrong answer of the kernel's self-test, or undefined where all are right. */
export function faultOf(source: KernelSource): string | undefined {
  const { kernel, memory, free } = build(source, PAGE_BYTES);
  return selfTest(kernel, memory, free);
}

/**
 * GFLOP/s of each of `sources` over a product of moderate size in each dtype: the best of many rounds in which each has
 * its turn, so that what else the machine does meets all of them. Takes MEASURED_MS for each, longer on a machine that
 * is busy or slow.
 */
export function speedsOf(sources: readonly KernelSource[]): number[] {
  const products = sources.map(productOf);
  const bestMs = products.map(() => DTYPE_NAMES.map(() => Number.POSITIVE_INFINITY));
  const end = performance.now() + MEASURED_MS * products.length;
  for (let round = 0; round < ROUNDS_MIN || performance.now() < end; round++) {
    for (const [index, product] of products.entries()) {
      for (const [at, dtype] of DTYPE_NAMES.entries()) {
        const start = performance.now();
        product(dtype);
        bestMs[index]![at] = Math.min(bestMs[index]![at]!, performance.now() - start);
      }
    }
  }
  return bestMs.map(times => {
    const ms = times.reduce((sum, time) => sum + time, 0);
    return (times.length * 2 * SIDE ** 3) / ms / 1e6;
  });
}

function productOf(source: KernelSource): (dtype: Dtype) => void {
  const elements = SIDE * SIDE;
  const { kernel, free } = build(source, 3 * elements * Float64Array.BYTES_PER_ELEMENT);
  return dtype => {
    const first = free / DTYPES[dtype].bytes;
    const [a, b, c] = [0, 1, 2].map(index => denseView(SIDE, SIDE, first + index * elements)) as [
      View,
      View,
      View,
    ];
    kernel.gemm({ dtype, alpha: 1, a, b, beta: 0, c });
  };
}

/** A kernel over its scratch, with `bytes` from `free` on behind it. */
function build(
  source: KernelSource,
  bytes: number,
): { readonly kernel: Kernel; readonly memory: WebAssembly.Memory; readonly free: number } {
  const free = Math.ceil(scratchBytes(source.name) / PAGE_BYTES) * PAGE_BYTES;
  const pages = (free + Math.ceil(bytes / PAGE_BYTES) * PAGE_BYTES) / PAGE_BYTES;
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  const scratch = { byteOffset: 0, byteLength: scratchBytes(source.name) };
  return { kernel: createKernel(source, memory, scratch), memory, free };
}
