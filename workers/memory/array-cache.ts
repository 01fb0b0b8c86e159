// What a block holds while it runs: a region of its own and pinned operand slabs. Slabs are cached by content, so
// that one A in a thousand jobs is read once; unpinned ones are evicted, least recently used first, when room is needed.

import { assert } from '../../shared/assert.ts';
import { FrechetError } from '../../shared/errors.ts';
import { type Arena, type Slot, slotBytes } from './arena.ts';

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
  /** Makes the next block load these slabs anew. */
  forget(): void;
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
  /** Undefined until its load begins, which is when the whole reservation stands. */
  loaded: Promise<void> | undefined;
}

interface Reservation {
  readonly region: Slot;
  readonly slabs: readonly Slab[];
}

interface Waiter {
  readonly regionBytes: number;
  readonly requests: readonly SlabRequest[];
  readonly admit: (reservation: Reservation) => void;
}

export type ArrayCache = ReturnType<typeof createArrayCache>;

/** @param arena what is allocated of it now stays so; all the rest is the cache's. */
export function createArrayCache(arena: Arena, observer: CacheObserver) {
  const capacityBytes = arena.limitBytes - arena.usedBytes;
  /** Insertion order is recency: the first unpinned slab is the one to evict. */
  const cached = new Map<string, Slab>();
  const waiters: Waiter[] = [];
  let heldCount = 0;

  /** Everything a block needs, or nothing: a block that held half and waited for the rest could wait for ever. */
  function tryReserve({ regionBytes, requests }: Waiter): Reservation | undefined {
    // Pinned first, so that room is not made by evicting what is about to be used.
    const found = requests.map(pinCached);
    const slabs = requests.map((request, index) => found[index] ?? createSlab(request));
    const region = slabs.includes(undefined) ? undefined : allocateEvicting(regionBytes);
    const made = slabs.filter(slab => slab !== undefined);
    if (region !== undefined) return { region, slabs: made };
    for (const slab of made) {
      if (slab.loaded === undefined) forget(slab);
      unpin(slab);
    }
    return undefined;
  }

  function pinCached({ key }: SlabRequest): Slab | undefined {
    const slab = key === undefined ? undefined : cached.get(key);
    if (slab === undefined || key === undefined) return undefined;
    slab.pins += 1;
    cached.delete(key);
    cached.set(key, slab);
    return slab;
  }

  function createSlab(request: SlabRequest): Slab | undefined {
    // The same slab may be asked for twice in one reservation.
    const twin = pinCached(request);
    if (twin !== undefined) return twin;
    const slot = allocateEvicting(request.bytes);
    if (slot === undefined) return undefined;
    const slab: Slab = { slot, key: request.key, pins: 1, loaded: undefined };
    if (request.key !== undefined) cached.set(request.key, slab);
    return slab;
  }

  function allocateEvicting(bytes: number): Slot | undefined {
    for (;;) {
      const slot = arena.allocate(bytes);
      if (slot !== undefined) return slot;
      const victim = [...cached.values()].find(slab => slab.pins === 0);
      if (victim === undefined) return undefined;
      evict(victim);
    }
  }

  function evict(slab: Slab): void {
    forget(slab);
    arena.free(slab.slot);
  }

  function forget(slab: Slab): void {
    if (isCached(slab)) cached.delete(slab.key!);
  }

  function isCached(slab: Slab): boolean {
    return slab.key !== undefined && cached.get(slab.key) === slab;
  }

  function unpin(slab: Slab): void {
    slab.pins -= 1;
    assert(slab.pins >= 0, 'a slab is unpinned once for each pin');
    if (slab.pins === 0 && !isCached(slab)) arena.free(slab.slot);
  }

  /** First come, first served: a small block may not overtake a large one for ever. */
  function serveWaiters(): void {
    for (let head = waiters[0]; head !== undefined; head = waiters[0]) {
      const reservation = tryReserve(head) ?? reserveAlone(head);
      if (reservation === undefined) return;
      waiters.shift();
      heldCount += 1;
      startLoads(reservation.slabs, head.requests);
      head.admit(reservation);
    }
  }

  /** Where nobody holds anything, only cached slabs can be in the way: between them gaps may be too small. */
  function reserveAlone(waiter: Waiter): Reservation | undefined {
    if (heldCount > 0) return undefined;
    for (const slab of [...cached.values()]) evict(slab);
    const reservation = tryReserve(waiter);
    assert(reservation !== undefined, 'what fits the arena fits it when it is empty');
    return reservation;
  }

  function startLoads(slabs: readonly Slab[], requests: readonly SlabRequest[]): void {
    for (const [index, slab] of slabs.entries()) {
      if (slab.loaded !== undefined) {
        observer.hit();
        continue;
      }
      if (slab.key !== undefined) observer.miss();
      slab.loaded = requests[index]!.load(slab.slot); // one slab for each request
      // A slab that failed to load is nobody's content: the next block reads it again.
      slab.loaded.catch(() => forget(slab));
    }
  }

  /** Waits for its turn and for room. */
  function reserve(
    regionBytes: number,
    requests: readonly SlabRequest[],
    signal: AbortSignal | undefined,
  ): Promise<Reservation> {
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      const leave = () => {
        waiters.splice(waiters.indexOf(waiter), 1);
        reject(signal?.reason);
        serveWaiters();
      };
      const admit = (reservation: Reservation) => {
        signal?.removeEventListener('abort', leave);
        resolve(reservation);
      };
      const waiter = { regionBytes, requests, admit };
      signal?.addEventListener('abort', leave, { once: true });
      waiters.push(waiter);
      serveWaiters();
    });
  }

  return {
    /** What all that is held at a time may come to. */
    capacityBytes,

    /**
     * Reserves a region and slabs together, waiting for room, and resolves when the slabs are filled.
     *
     * @param signal ends the waiting for room; a load that has begun is waited for, since others may share it.
     * @throws unavailable where the arena could not hold them even if it were empty; the signal's reason; whatever a
     * load throws.
     */
    async acquire(
      regionBytes: number,
      requests: readonly SlabRequest[],
      signal?: AbortSignal,
    ): Promise<Holding> {
      refuseImpossible(regionBytes, requests, capacityBytes);
      const { region, slabs } = await reserve(regionBytes, requests, signal);
      const release = once(() => {
        heldCount -= 1;
        arena.free(region);
        slabs.forEach(unpin);
        serveWaiters();
      });
      const loads = await Promise.allSettled(slabs.map(slab => slab.loaded));
      const failure = loads.find(load => load.status === 'rejected');
      if (failure !== undefined) {
        release();
        throw failure.reason;
      }
      return { region, slabs: slabs.map(slab => slab.slot), forget: () => slabs.forEach(forget), release };
    },
  };
}

function refuseImpossible(regionBytes: number, requests: readonly SlabRequest[], limit: number): void {
  const requested = requests.reduce((sum, { bytes }) => sum + slotBytes(bytes), slotBytes(regionBytes));
  if (requested <= limit) return;
  const detail = 'this worker has less memory than the block needs; raise FRECHET_MEMORY_BYTES';
  throw new FrechetError('unavailable', detail, { limit, requested });
}

function once(action: () => void): () => void {
  let done = false;
  return () => {
    if (!done) action();
    done = true;
  };
}
