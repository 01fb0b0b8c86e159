// What runs in a compute thread: kernels over the shared memory, one function that works off its share of a step, and
// one that runs all of a small plan. Neither waits for anything; the thread never learns of jobs, arrays or Redis.

import { createHash } from 'node:crypto';
import { workerData } from 'node:worker_threads';
import { assert, unreachable } from '../../shared/assert.ts';
import { errorCode } from '../../shared/errors.ts';
import { DTYPES, type Dtype, type FloatArray, floatArray } from '../../shared/math/dtype.ts';
import type { KernelChoice } from '../kernels/select.ts';
import { createKernel, createVectors } from '../kernels/source.ts';
import { createVerifier } from '../verify/freivalds.ts';
import { drawSeed } from '../verify/seed.ts';
import type { Bundle, BundleAnswer, PlanEnd, WholePlan } from './bundle.ts';
import { combineTile } from './combine.ts';
import { innerProduct } from './elements.ts';
import { fingerprintTile } from './fingerprints.ts';
import { randomAt } from './random.ts';
import { relateTile } from './relate.ts';
import { Cancelled, runPlan } from './run-plan.ts';
import {
  type ConvertTask,
  DIGEST_BYTES,
  type DigestTask,
  type Findings,
  memberView,
  mergeFindings,
  NO_FINDINGS,
  type Task,
  type ThreadTask,
} from './task.ts';
import { tileAt } from './tile.ts';

/** Posted once to every thread. */
export interface ThreadSetup {
  readonly memory: WebAssembly.Memory;
  readonly choice: KernelChoice;
  /** How many threads there are: their scratch is laid out for no more. */
  readonly count: number;
  /** Index of a 32-bit word from which each thread takes its number. */
  readonly numberAt: number;
  /** Index of the word that counts the threads that have been given work. */
  readonly answeredAt: number;
  /** Thread i's scratch begins at byteOffset + i·stride: for its two kernels, then for the verifier. */
  readonly scratch: {
    readonly byteOffset: number;
    readonly stride: number;
    readonly fastestBytes: number;
    readonly reproducibleBytes: number;
  };
}

const { memory, choice, count, numberAt, answeredAt, scratch } = workerData as ThreadSetup;
const words = new Int32Array(memory.buffer);
const bytes = new Uint8Array(memory.buffer);
const number = Atomics.add(words, numberAt, 1);
assert(number < count, 'a thread that died is not replaced');
const fastestAt = scratch.byteOffset + number * scratch.stride;
const reproducibleAt = fastestAt + scratch.fastestBytes;
const kernels = {
  fastest: createKernel(choice.fastest, memory, { byteOffset: fastestAt, byteLength: scratch.fastestBytes }),
  reproducible: createKernel(choice.reproducible, memory, {
    byteOffset: reproducibleAt,
    byteLength: scratch.reproducibleBytes,
  }),
};
const elements = { float64: wholeMemory('float64'), float32: wholeMemory('float32') };
const vectors = createVectors(choice.fastest, memory);
const verifierAt = reproducibleAt + scratch.reproducibleBytes;
const verifier = createVerifier(elements, vectors, verifierAt);
/** Free while no product is verified. */
const fingerprintAt = verifierAt;

function wholeMemory(dtype: Dtype): FloatArray {
  return floatArray(dtype, memory.buffer, 0, memory.buffer.byteLength / DTYPES[dtype].bytes);
}

let hasAnswered = false;

export default async function run({ work }: Bundle): Promise<BundleAnswer> {
  if (!hasAnswered) Atomics.add(words, answeredAt, 1);
  hasAnswered = true;
  const answers: (Findings | PlanEnd)[] = [];
  for (const one of work) answers.push('plan' in one ? await runWhole(one) : runShare(one));
  return answers;
}

/** Every task of a plan, right here. */
async function runWhole({ plan, place, control }: WholePlan): Promise<PlanEnd> {
  const runTask = async (task: Task, tiles: number) => {
    Atomics.store(words, control.next, 0);
    const found = runShare({ task, control, tiles });
    if (Atomics.load(words, control.cancel) !== 0) throw new Cancelled('the block was cancelled');
    return found;
  };
  const loadStreamed = async () => {
    assert(plan.streamed.length === 0, 'a plan that streams is not run whole');
    return [];
  };
  try {
    return { report: await runPlan(plan, { ...place, memory, threads: 1, drawSeed, loadStreamed, runTask }) };
  } catch (error) {
    if (error instanceof Cancelled) return { isCancelled: true };
    const code = errorCode(error);
    if (code === undefined) throw error;
    return { fault: { code, detail: (error as Error).message } };
  }
}

/** Works off tiles until none is left or the cancel word is set. */
function runShare({ task, control, tiles }: ThreadTask): Findings {
  const start = performance.now();
  let found = NO_FINDINGS;
  while (Atomics.load(words, control.cancel) === 0) {
    const tile = Atomics.add(words, control.next, 1);
    if (tile >= tiles) break;
    found = mergeFindings(found, runTile(task, tile));
  }
  return { ...found, seconds: (performance.now() - start) / 1000 };
}

function runTile(task: Task, index: number): Findings {
  switch (task.kind) {
    case 'combine': {
      const kernel = task.reproducible ? kernels.reproducible : kernels.fastest;
      const { rows, cols } = task.c;
      const tile = tileAt(index, { members: task.members, rows, cols }, task);
      combineTile(task, tile, elements[task.dtype], kernel);
      return NO_FINDINGS;
    }
    case 'inner': {
      const data = elements[task.dtype];
      const sum = innerProduct(data, memberView(task.a, index), memberView(task.b, index));
      data[memberView(task.c, index).offset] = sum;
      return NO_FINDINGS;
    }
    case 'image':
      return verifier.image(task, tileAt(index, { members: task.members, rows: task.b.rows, cols: 1 }, task));
    case 'residual':
      return verifier.residual(
        task,
        tileAt(index, { members: task.members, rows: task.c.rows, cols: 1 }, task),
      );
    case 'measure':
      return verifier.measure(
        task,
        tileAt(index, { members: task.members, rows: task.x.rows, cols: 1 }, task),
      );
    case 'fingerprint':
      return fingerprintTile(task, index, vectors, memory.buffer, fingerprintAt);
    case 'convert':
      convert(task);
      return NO_FINDINGS;
    case 'random': {
      const data = floatArray(task.dtype, memory.buffer, task.byteOffset, task.length);
      for (let i = 0; i < task.length; i++) data[i] = randomAt(task.seed, task.first + i);
      return NO_FINDINGS;
    }
    case 'magnitude': {
      const data = floatArray(task.dtype, memory.buffer, task.byteOffset, task.length);
      for (let i = 0; i < task.length; i++) data[i] = Math.abs(data[i]!);
      return NO_FINDINGS;
    }
    case 'relate':
      return relateTile(task, index, memory.buffer);
    case 'canonicalise': {
      const data = floatArray(task.dtype, memory.buffer, task.byteOffset, task.length);
      for (let i = 0; i < task.length; i++) if (Number.isNaN(data[i])) data[i] = Number.NaN;
      return NO_FINDINGS;
    }
    case 'digest':
      digestTile(task, index);
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
