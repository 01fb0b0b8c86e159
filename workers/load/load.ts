// Operands into shared memory: which bytes of an array a slab needs, in how many reads, and in what precision they
// arrive. Reading fills the slab directly; checking digests and rounding run on the threads.

import { FrechetError } from '../../shared/errors.ts';
import type { ArrayStore, OpenArray } from '../../shared/io/array-store.ts';
import type { DerivationInput } from '../../shared/job/derivation.ts';
import { RESULT_CHUNK_BYTES } from '../../shared/job/limits.ts';
import type { ValueSource } from '../../shared/job/spec.ts';
import { DTYPES, type Dtype } from '../../shared/math/dtype.ts';
import { digestData } from '../execute/digests.ts';
import { takeFingerprints } from '../execute/fingerprints.ts';
import type { Findings, GuardedRange, Task } from '../execute/task.ts';
import type { Threads } from '../execute/threads.ts';
import type { Slot } from '../memory/arena.ts';
import type { SlabRequest } from '../memory/array-cache.ts';
import type { InputSlab } from '../plan/plan.ts';
import { type SlabLayout, slabLayout } from '../plan/slab-layout.ts';
import type { CheckedChunks } from './checked-chunks.ts';
import { eachInFlight } from './in-flight.ts';
import { type Piece, piecesOf } from './pieces.ts';

export interface LoadDeps {
  readonly arrays: ArrayStore;
  readonly memory: WebAssembly.Memory;
  readonly threads: Threads;
  readonly checkedChunks: CheckedChunks;
}

export interface LoadableSlab extends SlabRequest {
  /** What must not change in the slab once it is loaded. */
  guard(slot: Slot): GuardedRange;
}

/** What the array cache must hold for one input of a block, and how it gets there. */
export function slabRequest(
  deps: LoadDeps,
  job: { readonly tenant: string; readonly seed: number },
  slab: InputSlab,
  input: DerivationInput,
  dtype: Dtype,
): LoadableSlab {
  const { source } = input;
  const layout = slabLayout(slab.elements, source?.dtype ?? dtype, dtype);
  const guard = ({ byteOffset }: Slot) => ({
    byteOffset,
    byteLength: layout.dataBytes,
    prints: byteOffset + layout.prints,
  });
  const load = async (slot: Slot) => {
    const run = taskRunner(deps, slot, layout);
    const takePrints = () => takeFingerprints(run, guard(slot));
    if (source === undefined) {
      await fillRandom(run, job.seed, slab, slot, dtype);
      return takePrints();
    }
    const target = sourceBytes(deps, slab, source, slot, layout);
    if ('array' in source) {
      const place = { target, digestsAt: slot.byteOffset + layout.digests };
      await readArray(deps, run, job.tenant, source.array, slab, input, place, takePrints);
    } else {
      const inline = Buffer.from(source.inline, 'base64');
      copyBox(inline, piecesOf(slab, input, source.order), target, source.dtype);
    }
    await convert(run, slab.elements, source.dtype, dtype, target.byteOffset, slot.byteOffset);
    if (input.isMagnitude) await takeMagnitudes(run, slot, slab.elements, dtype);
    const isChanged = source.dtype !== dtype || input.isMagnitude;
    if (isChanged || !('array' in source)) await takePrints();
  };
  return { key: cacheKey(job.tenant, slab, input, dtype), bytes: layout.bytes, load, guard };
}

/** Same key, same bytes in the slab. Inline values are not worth a place in the cache. */
function cacheKey(
  tenant: string,
  slab: InputSlab,
  { source, isMagnitude }: DerivationInput,
  dtype: Dtype,
): string | undefined {
  if (source === undefined || !('array' in source)) return undefined;
  const { rows, cols, members } = slab;
  const content = isMagnitude ? `|${source.array}|` : source.array;
  return [tenant, content, dtype, ...rows, ...cols, ...(members ?? [])].join(' ');
}

type Run = (task: Task, tiles: number) => Promise<Findings>;

/** Runs tasks under the slab's own control words. */
function taskRunner({ memory, threads }: LoadDeps, { byteOffset }: Slot, { control }: SlabLayout): Run {
  const word = (byteOffset + control) / 4;
  return (task, tiles) => {
    new Int32Array(memory.buffer).fill(0, word, word + 2);
    return threads.run(task, tiles, { cancel: word, next: word + 1 });
  };
}

/** Where the source's own bytes go: at the end of the space to be widened in place, at its start otherwise. */
function sourceBytes(
  { memory }: LoadDeps,
  slab: InputSlab,
  source: ValueSource,
  slot: Slot,
  { widest }: SlabLayout,
): Uint8Array {
  const length = slab.elements * DTYPES[source.dtype].bytes;
  return new Uint8Array(memory.buffer, slot.byteOffset + slab.elements * widest - length, length);
}

function copyBox(source: Uint8Array, pieces: Iterable<Piece>, target: Uint8Array, dtype: Dtype): void {
  const size = DTYPES[dtype].bytes;
  for (const { from, to, length } of pieces)
    target.set(source.subarray(from * size, (from + length) * size), to * size);
}

async function readArray(
  deps: LoadDeps,
  run: Run,
  tenant: string,
  id: string,
  slab: InputSlab,
  input: DerivationInput,
  { target, digestsAt }: { readonly target: Uint8Array; readonly digestsAt: number },
  takePrints: () => Promise<void>,
): Promise<void> {
  const array = await deps.arrays.openForJob(tenant, id);
  if (array === undefined)
    throw new FrechetError('operand-lost', `the array of ${input.name} was deleted or expired`);
  try {
    const { footer } = array;
    const size = DTYPES[footer.dtype].bytes;
    const pieces = () => piecesOf(slab, input, footer.order);
    const isWhole = target.byteLength === footer.bytes;
    if (!isWhole) await deps.checkedChunks.check(`${tenant}/${id}`, array, byteRanges(pieces(), size));
    await eachInFlight(pieces(), READS_IN_FLIGHT, ({ from, to, length }) =>
      readWhole(array, target.subarray(to * size, (to + length) * size), from * size, input.name),
    );
    // Taken first, so that whatever changes from here on is noticed: now by the digests, later by the fingerprints.
    await takePrints();
    if (isWhole) await verifyWhole(deps, run, array, target, digestsAt, input.name);
  } finally {
    await array.close();
  }
}

function* byteRanges(pieces: Iterable<Piece>, size: number): Generator<[start: number, stop: number]> {
  for (const { from, length } of pieces) yield [from * size, (from + length) * size];
}

/** A column slab of a matrix is a piece of each of its rows: what waits for one read should have the next in hand. */
const READS_IN_FLIGHT = 16;
/** One read call moves at most this much: the operating system's own limit is 2 GiB. */
const READ_BYTES_MAX = 256 * RESULT_CHUNK_BYTES;

async function readWhole(
  array: OpenArray,
  target: Uint8Array,
  position: number,
  name: string,
): Promise<void> {
  for (let at = 0; at < target.byteLength; ) {
    const piece = target.subarray(at, at + READ_BYTES_MAX);
    const count = await array.read(piece, position + at);
    if (count === 0) throw new FrechetError('operand-corrupt', `the array of ${name} is shorter than it was`);
    at += count;
  }
}

/** An array that was read whole is compared with the digests of its upload. */
async function verifyWhole(
  { memory }: LoadDeps,
  run: Run,
  { footer }: OpenArray,
  { byteOffset, byteLength }: Uint8Array,
  digestsAt: number,
  name: string,
): Promise<void> {
  const { chunks } = await digestData(memory, { byteOffset, byteLength }, digestsAt, run, false);
  if (chunks.every((chunk, index) => chunk === footer.chunks[index])) return;
  throw new FrechetError(
    'operand-corrupt',
    `the array of ${name} no longer has the bytes that were uploaded`,
  );
}

async function convert(
  run: Run,
  length: number,
  from: Dtype,
  to: Dtype,
  fromByteOffset: number,
  toByteOffset: number,
): Promise<void> {
  if (from === to || length === 0) return;
  await run({ kind: 'convert', from, to, fromByteOffset, toByteOffset, length }, 1);
}

async function takeMagnitudes(run: Run, { byteOffset }: Slot, length: number, dtype: Dtype): Promise<void> {
  if (length > 0) await run({ kind: 'magnitude', dtype, byteOffset, length }, 1);
}

async function fillRandom(run: Run, seed: number, slab: InputSlab, slot: Slot, dtype: Dtype): Promise<void> {
  // Direction and cotangent of one seed must differ.
  const own = (seed ^ (slab.role === 'direction' ? 0x5bd1e995 : 0x1b873593)) >>> 0;
  const { byteOffset } = slot;
  await run({ kind: 'random', dtype, seed: own, byteOffset, length: slab.elements, first: 0 }, 1);
}
