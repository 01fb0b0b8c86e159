// One arena of shared memory per worker: allocated once, recycled for ever. It is a WebAssembly memory, so that the
// SIMD kernel works on it directly; 32-bit addresses bound it to 4 GiB. Main thread only: threads get offsets.

import { assert } from '../../shared/assert.ts';
import { FrechetError } from '../../shared/errors.ts';

const WASM_PAGE_BYTES = 65_536;
/** A WebAssembly memory with 32-bit addresses ends here; a machine with more memory runs more workers (deploy/local/worker-shares.ts, or replicas). */
export const ARENA_BYTES_MAX = 65_536 * WASM_PAGE_BYTES;
/** A cache line, and enough for any vector load. */
export const SLOT_ALIGNMENT = 64;

/** An allocation. Its owner returns it exactly once. */
export interface Slot {
  readonly byteOffset: number;
  readonly byteLength: number;
}

export interface Arena {
  readonly memory: WebAssembly.Memory;
  readonly limitBytes: number;
  readonly usedBytes: number;
  /** A slot of at least `bytes`, or undefined where no gap is large enough. Its content is whatever was there. */
  allocate(bytes: number): Slot | undefined;
  free(slot: Slot): void;
}

/** What a slot for `bytes` takes of an arena. Slots of nothing are slots too, so that each has a place of its own. */
export function slotBytes(bytes: number): number {
  return Math.max(SLOT_ALIGNMENT, Math.ceil(bytes / SLOT_ALIGNMENT) * SLOT_ALIGNMENT);
}

/**
 * An arena of `limitBytes`, rounded down to whole pages and to ARENA_BYTES_MAX. The system commits pages as they are
 * touched. First fit over a list of gaps ordered by address; freeing joins neighbours. O(gaps) each.
 *
 * @throws unavailable where the system refuses the memory.
 */
export function createArena(limitBytes: number): Arena {
  const pages = Math.floor(Math.min(limitBytes, ARENA_BYTES_MAX) / WASM_PAGE_BYTES);
  assert(pages > 0, 'an arena has at least one page');
  const memory = sharedMemory(pages);
  const gaps: Slot[] = [{ byteOffset: 0, byteLength: pages * WASM_PAGE_BYTES }];
  let usedBytes = 0;

  return {
    memory,
    limitBytes: pages * WASM_PAGE_BYTES,
    get usedBytes() {
      return usedBytes;
    },
    allocate(bytes) {
      const wanted = slotBytes(bytes);
      const index = gaps.findIndex(gap => gap.byteLength >= wanted);
      const gap = gaps[index];
      if (gap === undefined) return undefined;
      const rest = { byteOffset: gap.byteOffset + wanted, byteLength: gap.byteLength - wanted };
      gaps.splice(index, 1, ...(rest.byteLength > 0 ? [rest] : []));
      usedBytes += wanted;
      return { byteOffset: gap.byteOffset, byteLength: wanted };
    },
    free(slot) {
      insertGap(gaps, slot);
      usedBytes -= slot.byteLength;
    },
  };
}

function sharedMemory(pages: number): WebAssembly.Memory {
  try {
    return new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  } catch (cause) {
    throw new FrechetError(
      'unavailable',
      'the system refuses the memory; lower FRECHET_MEMORY_BYTES',
      {},
      { cause },
    );
  }
}

function insertGap(gaps: Slot[], slot: Slot): void {
  const found = gaps.findIndex(gap => gap.byteOffset > slot.byteOffset);
  const index = found === -1 ? gaps.length : found;
  const before = gaps[index - 1];
  const after = gaps[index];
  const end = slot.byteOffset + slot.byteLength;
  assert(
    before === undefined || before.byteOffset + before.byteLength <= slot.byteOffset,
    'a slot is freed once',
  );
  assert(after === undefined || end <= after.byteOffset, 'a slot is freed once');
  const joinsBefore = before !== undefined && before.byteOffset + before.byteLength === slot.byteOffset;
  const joinsAfter = after !== undefined && end === after.byteOffset;
  const start = joinsBefore ? before.byteOffset : slot.byteOffset;
  const stop = joinsAfter ? after.byteOffset + after.byteLength : end;
  const joined = { byteOffset: start, byteLength: stop - start };
  gaps.splice(index - (joinsBefore ? 1 : 0), (joinsBefore ? 1 : 0) + (joinsAfter ? 1 : 0), joined);
}
