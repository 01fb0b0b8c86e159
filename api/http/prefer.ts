// `Prefer: wait=S` (RFC 7240), the one preference understood. Others, and malformed ones, are ignored as the RFC says.

import { WAIT_SECONDS_MAX } from '../../shared/job/limits.ts';

/** A preference up to its separator; commas and semicolons inside quotes belong to its value. */
const PREFERENCE = /(?:[^,"]|"(?:[^"\\]|\\.)*"?)+/g;
const WAIT = /^[ \t]*wait[ \t]*=[ \t]*(\d+)[ \t]*(?:;.*)?$/i;
const NAMED_WAIT = /^[ \t]*wait[ \t]*(?:[=;]|$)/i;

/**
 * Seconds the client wants to wait, at most WAIT_SECONDS_MAX; undefined where it did not say.
 *
 * @param header all Prefer headers, joined by commas. Of several `wait`s the first counts, even a malformed one.
 */
export function preferredWaitSeconds(header: string | undefined): number | undefined {
  const wait = header?.match(PREFERENCE)?.find(preference => NAMED_WAIT.test(preference));
  const seconds = wait === undefined ? undefined : WAIT.exec(wait)?.[1];
  return seconds === undefined ? undefined : Math.min(Number(seconds), WAIT_SECONDS_MAX);
}
