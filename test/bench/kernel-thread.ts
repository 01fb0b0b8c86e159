// The other end of the threaded benchmark: a kernel of its own, which fills one tile each time it is told to.

import { parentPort, workerData } from 'node:worker_threads';
import type { GemmTile, Scratch } from '../../workers/kernels/kernel.ts';
import { createKernel, type KernelSource } from '../../workers/kernels/source.ts';

/** Posted once. */
export interface KernelThreadData {
  readonly source: KernelSource;
  readonly memory: WebAssembly.Memory;
  readonly scratch: Scratch;
}

const { source, memory, scratch } = workerData as KernelThreadData;
const kernel = createKernel(source, memory, scratch);
parentPort!.on('message', (tile: GemmTile) => {
  kernel.gemm(tile);
  parentPort!.postMessage('done');
});
