// What runs in a compute thread: kernels over the shared memory, and one function that works off its share of a
// step. Synchronous from end to end; it never learns of jobs, arrays or Redis.

import { createHash } from 'node:crypto';
import { workerData } from 'node:worker_threads';
import { unreachable } from '../../shared/assert.ts';
import { type FloatArray, floatArray } from '../../shared/math/dtype.ts';
import type { Kernel } from '../kernels/kernel.ts';
import type { KernelChoice } from '../kernels/select.ts';
import { createKernel } from '../kernels/source.ts';
import { imageTile, residualTile } from '../verify/freivalds.ts';
import { combineTile, memberView, tileAt, wholeArray } from './combine.ts';
import { innerProduct } from './elements.ts';
import { randomAt } from './random.ts';
import {
  type ConvertTask,
  DIGEST_BYTES,
  type DigestTask,
  type Findings,
  NO_FINDINGS,
  type Task,
  type ThreadTask,
} from './task.ts';

/** Posted once to every thread. */
export interface ThreadSetup {
  readonly memory: WebAssembly.Memory;
  readonly choice: KernelChoice;
  /** Index of a 32-bit word from which each thread takes its number. */
  readonly numberAt: number;
  /** Scratch of thread i begins at scratchByteOffset + i·scratchByteStride: first the fastest kernel's, then the reproducible one's. */
  readonly scratchByteOffset: number;
  readonly scratchByteStride: number;
  readonly fastestBytes: number;
  readonly reproducibleBytes: number;
}

const setup = workerData as ThreadSetup;
const { memory } = setup;
const words = new Int32Array(memory.buffer);
const bytes = new Uint8Array(memory.buffer);
const number = Atomics.add(words, setup.numberAt, 1);
const scratch = setup.scratchByteOffset + number * setup.scratchByteStride;
const fastest = createKernel(setup.choice.fastest, memory, {
  byteOffset: scratch,
  byteLength: setup.fastestBytes,
});
const reproducible = createKernel(setup.choice.reproducible, memory, {
  byteOffset: scratch + setup.fastestBytes,
  byteLength: setup.reproducibleBytes,
});
const elements: Record<'float64' | 'float32', FloatArray> = {
  float64: wholeArray(memory, 'float64'),
  float32: wholeArray(memory, 'float32'),
};

/** Works off tiles until none is left or the cancel word is set. */
export default function runShare({ task, control, tiles }: ThreadTask): Findings {
  let found = NO_FINDINGS;
  while (Atomics.load(words, control.cancel) === 0) {
    const tile = Atomics.add(words, control.next, 1);
    if (tile >= tiles) break;
    found = mergeFindings(found, runTile(task, tile));
  }
  return found;
}

function mergeFindings(a: Findings, b: Findings): Findings {
  return { maxError: Math.max(a.maxError, b.maxError), failures: a.failures + b.failures };
}

function runTile(task: Task, tile: number): Findings {
  switch (task.kind) {
    case 'combine': {
      const kernel: Kernel = task.reproducible ? reproducible : fastest;
      const place = tileAt(tile, task.c.rows, task.c.cols, task.tileRows, task.tileCols);
      combineTile(task, place, elements[task.dtype], kernel);
      return NO_FINDINGS;
    }
    case 'inner': {
      const data = elements[task.dtype];
      const sum = innerProduct(data, memberView(task.a, tile), memberView(task.b, tile));
      data[memberView(task.c, tile).offset] = sum;
      return NO_FINDINGS;
    }
    case 'image':
      imageTile(task, tileAt(tile, task.b.rows, 1, task.tileRows, 1), elements);
      return NO_FINDINGS;
    case 'residual':
      return residualTile(task, tileAt(tile, task.c.rows, 1, task.tileRows, 1), elements);
    case 'convert':
      convert(task);
      return NO_FINDINGS;
    case 'random': {
      const data = floatArray(task.dtype, memory.buffer, task.byteOffset, task.length);
      for (let i = 0; i < task.length; i++) data[i] = randomAt(task.seed, task.first + i);
      return NO_FINDINGS;
    }
    case 'canonicalise': {
      const data = floatArray(task.dtype, memory.buffer, task.byteOffset, task.length);
      for (let i = 0; i < task.length; i++) if (Number.isNaN(data[i])) data[i] = Number.NaN;
      return NO_FINDINGS;
    }
    case 'digest':
      digestTile(task, tile);
      return NO_FINDINGS;
    default:
      return unreachable(task);
  }
}

/** In place where the ranges overlap: ascending, source at the end to widen, at the start to narrow. */
function convert({ from, to, fromByteOffset, toByteOffset, length }: ConvertTask): void {
  const source = floatArray(from, memory.buffer, fromByteOffset, length);
  const target = floatArray(to, memory.buffer, toByteOffset, length);
  for (let i = 0; i < length; i++) target[i] = source[i]!;
}

/** The whole range is the longest tile, so it is the first. */
function digestTile(task: DigestTask, tile: number): void {
  const chunks = Math.ceil(task.byteLength / task.chunkBytes);
  const isWhole = task.whole && tile === 0;
  const index = isWhole ? chunks : tile - (task.whole ? 1 : 0);
  const start = isWhole ? 0 : index * task.chunkBytes;
  const stop = isWhole ? task.byteLength : Math.min(task.byteLength, start + task.chunkBytes);
  const range = bytes.subarray(task.byteOffset + start, task.byteOffset + stop);
  bytes.set(createHash('sha256').update(range).digest(), task.digests + index * DIGEST_BYTES);
}
