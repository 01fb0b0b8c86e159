// What a block holds while it runs: a region of its own and pinned operand slabs. Slabs are cached by content, so
// that one A in a thousand jobs is read once; unpinned ones are evicted, least recently used first, when room is needed.

import { assert } from '../../shared/assert.ts';
import { FrechetError } from '../../shared/errors.ts';
import type { Arena, Slot } from './arena.ts';

export interface SlabRequest {
  /** Names the content: same key, same bytes. Undefined for a slab that nobody else can use. */
  readonly key: string | undefined;
  readonly bytes: number;
  /** Fills the slot; called at most once for a key while the slab stays cached. */
  load(slot: Slot): Promise<void>;
}

/** The memory of one running block. */
export interface Holding {
  readonly region: Slot;
  /** In the order of the requests, filled. */
  readonly slabs: readonly Slot[];
  /** Gives everything back; further calls do nothing. */
  release(): void;
}

export interface CacheObserver {
  hit(): void;
  miss(): void;
}

interface Slab {
  readonly slot: Slot;
  readonly key: string | undefined;
  pins: number;
  loaded: Promise<void>;
}

interface Waiter {
  readonly regionBytes: number;
  readonly requests: readonly SlabRequest[];
  readonly admit: (holding: { region: Slot; slabs: Slab[] }) => void;
}

export type ArrayCache = ReturnType<typeof createArrayCache>;

export function createArrayCache(arena: Arena, observer: CacheObserver) {
  /** Insertion order is recency: the first unpinned slab is the one to evict. */
  const cached = new Map<string, Slab>();
  const waiters: Waiter[] = [];

  /** Everything a block needs, or nothing: a block that held half and waited for the rest could wait for ever. */
  function tryReserve(waiter: Waiter): { region: Slot; slabs: Slab[] } | undefined {
    const slabs: Slab[] = [];
    const region = allocateEvicting(waiter.regionBytes);
    for (const request of region === undefined ? [] : waiter.requests) {
      const slab = pinCached(request) ?? createSlab(request);
      if (slab === undefined) break;
      slabs.push(slab);
    }
    if (region !== undefined && slabs.length === waiter.requests.length) return { region, slabs };
    if (region !== undefined) arena.free(region);
    slabs.forEach(unpin);
    return undefined;
  }

  function pinCached(request: SlabRequest): Slab | undefined {
    const slab = request.key === undefined ? undefined : cached.get(request.key);
    if (slab === undefined) return undefined;
    slab.pins += 1;
    cached.delete(slab.key!);
    cached.set(slab.key!, slab);
    return slab;
  }

  /** A slab without content yet: its load begins once the whole reservation stands. */
  function createSlab(request: SlabRequest): Slab | undefined {
    const slot = allocateEvicting(request.bytes);
    if (slot === undefined) return undefined;
    return { slot, key: request.key, pins: 1, loaded: NOT_LOADED };
  }

  function allocateEvicting(bytes: number): Slot | undefined {
    for (;;) {
      const slot = arena.allocate(bytes);
      if (slot !== undefined) return slot;
      const victim = [...cached.values()].find(slab => slab.pins === 0);
      if (victim === undefined) return undefined;
      cached.delete(victim.key!);
      arena.free(victim.slot);
    }
  }

  function unpin(slab: Slab): void {
    slab.pins -= 1;
    assert(slab.pins >= 0, 'a slab is unpinned once for each pin');
    const isCached = slab.key !== undefined && cached.get(slab.key) === slab;
    if (slab.pins === 0 && !isCached) arena.free(slab.slot);
  }

  /** First come, first served: a small block may not overtake a large one for ever. */
  function serveWaiters(): void {
    for (let head = waiters[0]; head !== undefined; head = waiters[0]) {
      const reserved = tryReserve(head);
      if (reserved === undefined) return;
      waiters.shift();
      startLoads(reserved.slabs, head.requests);
      head.admit(reserved);
    }
  }

  function startLoads(slabs: readonly Slab[], requests: readonly SlabRequest[]): void {
    slabs.forEach((slab, index) => {
      if (slab.loaded !== NOT_LOADED) {
        observer.hit();
        return;
      }
      const request = requests[index]!;
      if (request.key !== undefined) {
        observer.miss();
        cached.set(request.key, slab);
      }
      slab.loaded = request.load(slab.slot);
      // A slab that failed to load is nobody's content: the next block reads it again.
      slab.loaded.catch(() => {
        if (slab.key !== undefined && cached.get(slab.key) === slab) cached.delete(slab.key);
      });
    });
  }

  return {
    /**
     * Reserves a region and slabs together, waiting for room, and resolves when the slabs are filled.
     *
     * @throws job-too-large where the arena could not hold them even if it were empty; whatever a load throws.
     */
    async acquire(regionBytes: number, requests: readonly SlabRequest[]): Promise<Holding> {
      const wanted = requests.reduce((sum, request) => sum + request.bytes, regionBytes);
      if (wanted > arena.limitBytes) {
        throw new FrechetError(
          'unavailable',
          'this worker has less memory than the block needs; raise FRECHET_MEMORY_BYTES',
          {
            limit: arena.limitBytes,
            requested: wanted,
          },
        );
      }
      const reserved = await new Promise<{ region: Slot; slabs: Slab[] }>(admit => {
        waiters.push({ regionBytes, requests, admit });
        serveWaiters();
      });
      const release = once(() => {
        arena.free(reserved.region);
        reserved.slabs.forEach(unpin);
        serveWaiters();
      });
      const loads = await Promise.allSettled(reserved.slabs.map(slab => slab.loaded));
      const failure = loads.find(load => load.status === 'rejected');
      if (failure !== undefined) {
        release();
        throw failure.reason;
      }
      return { region: reserved.region, slabs: reserved.slabs.map(slab => slab.slot), release };
    },
  };
}

const NOT_LOADED = Promise.resolve();

function once(action: () => void): () => void {
  let done = false;
  return () => {
    if (!done) action();
    done = true;
  };
}
