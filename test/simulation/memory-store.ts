// A store in memory, with the promises of the real one: objects appear whole or not at all, and after a failure nobody
// knows which. Before and after every effect lies a step, at which the process may die or be overtaken.

import { assert } from '../../shared/assert.ts';
import type {
  ListOptions,
  ObjectInfo,
  PutOptions,
  Store,
  StoredObject,
} from '../../shared/io/store/store.ts';

/** What is in the store, shared by all lives. */
export class Objects {
  readonly map = new Map<string, Uint8Array>();
  /** Hears of every effect before it happens. */
  readonly #onEffect: (effect: 'put' | 'delete', key: string, isReplaced: boolean) => void;
  readonly #isExclusive: boolean;

  /** @param isExclusive false for a store that breaks its word: that must not go unnoticed */
  constructor(
    onEffect: (effect: 'put' | 'delete', key: string, isReplaced: boolean) => void,
    isExclusive: boolean,
  ) {
    this.#onEffect = onEffect;
    this.#isExclusive = isExclusive;
  }

  put(key: string, parts: readonly Uint8Array[], { exclusive }: PutOptions): boolean {
    const isThere = this.map.has(key);
    if (exclusive && isThere && this.#isExclusive) return false;
    this.#onEffect('put', key, isThere);
    this.map.set(key, Buffer.concat(parts));
    return true;
  }

  delete(key: string): boolean {
    if (!this.map.has(key)) return false;
    this.#onEffect('delete', key, false);
    return this.map.delete(key);
  }

  below(prefix: string): string[] {
    return [...this.map.keys()].filter(key => key.startsWith(`${prefix}/`));
  }
}

/** @param gate a step, at which the store may also fail */
export function createMemoryStore(objects: Objects, gate: () => Promise<void>): Store {
  async function effect<T>(act: () => T): Promise<T> {
    await gate();
    const result = act();
    await gate();
    return result;
  }

  return {
    put: async (key, parts, options) => {
      await options.after;
      return effect(() => objects.put(key, parts, options));
    },
    stage: () => {
      assert(false, 'nothing of the simulation is streamed');
    },
    get: async key => {
      await gate();
      return objects.map.get(key);
    },
    open: async key => {
      await gate();
      const bytes = objects.map.get(key);
      return bytes && openBytes(bytes);
    },
    stat: async (key): Promise<ObjectInfo | undefined> => {
      await gate();
      const bytes = objects.map.get(key);
      return bytes && { size: bytes.byteLength, modifiedAt: new Date(0) };
    },
    list: async (prefix, options) => {
      await gate();
      return listBelow(objects, prefix, options);
    },
    delete: key => effect(() => objects.delete(key)),
    async deletePrefix(prefix) {
      // Not atomic: a step before each.
      for (const key of objects.below(prefix)) {
        await gate();
        objects.delete(key);
      }
      await gate();
    },
    prune: () => gate(),
    sweep: async () => 0,
    usage: async () => undefined,
  };
}

function openBytes(bytes: Uint8Array): StoredObject {
  return {
    size: bytes.byteLength,
    modifiedAt: new Date(0),
    async read(target, position) {
      const piece = bytes.subarray(position, position + target.byteLength);
      target.set(piece);
      return piece.byteLength;
    },
    close: async () => undefined,
  };
}

function listBelow(objects: Objects, prefix: string, options: ListOptions = {}): string[] {
  const { after, before, reverse = false, limit } = options;
  const names = objects.below(prefix).map(key => key.slice(prefix.length + 1).split('/', 1)[0] ?? '');
  const wanted = [...new Set(names)]
    .filter(name => (after === undefined || name > after) && (before === undefined || name < before))
    .sort();
  if (reverse) wanted.reverse();
  return limit === undefined ? wanted : wanted.slice(0, limit);
}
