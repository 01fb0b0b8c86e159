// Listing by time without an index: names begin with a ULID's ten characters of milliseconds, and lie in shards named
// after the first six of them, 17½ minutes each. Newest first is then a walk backwards over shards and names.

import { encodeTime } from 'ulid';
import type { Store } from './store.ts';

const SHARD_LENGTH = 6;
/** The other four of the ten characters of time, in base 32. */
export const SHARD_SECONDS = 32 ** 4 / 1000;

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

/** Two descending sequences as one; what stands in both comes once. */
export async function* mergeNewestFirst(
  one: AsyncIterator<string>,
  other: AsyncIterator<string>,
): AsyncGenerator<string> {
  let [a, b] = [await one.next(), await other.next()];
  while (a.done !== true || b.done !== true) {
    const [nameA, nameB] = [a.done === true ? '' : a.value, b.done === true ? '' : b.value];
    const takesA = nameA >= nameB;
    yield takesA ? nameA : nameB;
    if (takesA) a = await one.next();
    if (!takesA || nameA === nameB) b = await other.next();
  }
}

/** Whether names may still come to a shard, since its time has not passed. */
export function isShardOpen(shard: string, nowMs: number): boolean {
  return shard >= shardOf(encodeTime(nowMs));
}

/** Forgets the shard of a removed name, where it was the last. */
export async function pruneShard(store: Store, prefix: string, name: string, nowMs: number): Promise<void> {
  const shard = shardOf(name);
  if (!isShardOpen(shard, nowMs)) await store.prune(`${prefix}/${shard}`);
}
