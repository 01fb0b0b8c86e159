// Listing by time without an index: names begin with a ULID's ten characters of milliseconds, and lie in shards named
// after the first six of them, 17½ minutes each. Newest first is then a walk backwards over shards and names.

import type { Store } from './store.ts';

const SHARD_LENGTH = 6;

/** The shard of a name that begins with a ULID or its time. */
export function shardOf(name: string): string {
  return name.slice(0, SHARD_LENGTH);
}

/** Names under `<prefix>/<shard>/`, newest first, from the one just older than `before` on. */
export async function* newestFirst(store: Store, prefix: string, before?: string): AsyncGenerator<string> {
  for (const shard of await store.list(prefix, { reverse: true })) {
    if (before !== undefined && shard > shardOf(before)) continue;
    yield* await store.list(`${prefix}/${shard}`, { reverse: true, before });
  }
}
