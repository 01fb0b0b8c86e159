// Ids of jobs, and what their age means. Those of one process ascend even within a millisecond, so that newest first is the order of
// submission.

import { decodeTime, monotonicFactory, ulid } from 'ulid';

/** The letters of one id. ulid's own source asks the system for each of them. */
const letters = new Uint8Array(16);
let used = letters.length;

/** In [0, 1), by a random byte: a letter is five bits. */
function fraction(): number {
  if (used === letters.length) {
    crypto.getRandomValues(letters);
    used = 0;
  }
  const byte = letters[used]!; // used is less than its length
  used += 1;
  return byte / 256;
}

/** @param nowMs milliseconds since the epoch */
export const nextId: (nowMs: number) => string = monotonicFactory(fraction);

/** A ULID; those of the same millisecond are in no order. */
export function randomId(nowMs: number): string {
  return ulid(nowMs, fraction);
}

/** Half of what the reconciler waits before it takes a marker without a spec for a leftover. */
const MARKER_SECONDS_SAFE = 30;

/**
 * Whether a reconciler may just have removed the marker that was set before the spec, as it does with old ones: of a
 * claim that was left behind, or where we were held up. Set again after the spec it stays, since whoever removes one
 * looks for the spec once more.
 */
export function mayLoseMarker(id: string, nowMs: number): boolean {
  return nowMs - decodeTime(id) > MARKER_SECONDS_SAFE * 1000;
}
